// A program that leaves its workers as they are: arguments: the workers' module.
import '../../index.ts'
import { Dataset, WorkerPool } from '../index.ts'
import type { Order, transform } from './transform.ts'

const [, , module] = (globalThis as unknown as { process: { argv: string[] } }).process.argv
const pool = new WorkerPool<typeof transform>(new URL(module!), { workers: 1 })
const orders: Order[] = [{ do: 'add', x: 1 }]
// oxlint-disable-next-line no-console
for await (const { index } of Dataset.from(orders).mapInWorkers(pool)) console.log(index)
