import { tensor } from 'cotangent'
import * as data from 'cotangent/data'
import type { transform } from './transform.ts'

/** What the page reports; run by the test. */
async function run(workers: number) {
  const left: string[] = []
  const dataset = data.Dataset.range(8)
    .map((x) => tensor([x]))
    .mapInWorkers<typeof transform>(() => new Worker(new URL('./transform.ts', import.meta.url), { type: 'module' }), { workers, seed: 3 })
    .ignoreErrors({ log: ({ message }) => left.push(message) })
  const elements: unknown[] = []
  for await (const { double, random, where } of dataset) elements.push([double.toArray(), random.toArray(), where])
  return { elements, left }
}
Object.assign(globalThis, { page: { run } })
