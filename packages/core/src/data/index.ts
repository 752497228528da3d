export { Batches, type BatchOptions } from './batches.ts'
