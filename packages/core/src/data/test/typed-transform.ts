import { inWorker } from '../in-worker.ts'

export const double = inWorker((x: number): number => 2 * x)
