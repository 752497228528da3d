/** A child process of facts.ts: how long a step waits for its data where it takes longer than the data. Writes one JSON array of facts. */
import * as ct from 'cotangent'
import { data as cases } from './cases/data.ts'
import type { Fact } from './facts.ts'
import type { PeerOptions } from './peer.ts'
import peer, { picturesOf } from './peers/ours.ts'

const options = JSON.parse(process.argv[2]!) as PeerOptions & { filter: string; effort: { rounds: number } }
console.log = console.info = console.error
await peer.open(options)

const [weights, rows] = [ct.normal([256, 256]), ct.normal([256, 256])]
const { work } = cases[0]!
const facts: Fact[] = []
if (work.kind === 'pictures' && 'waiting'.includes(options.filter)) {
  const { batches, pool } = picturesOf(work)
  /** An epoch with a step of `stepMs` for each batch. @returns Milliseconds in all, and those waited, a step. */
  const epoch = async (stepMs: number) => {
    const start = performance.now()
    let [waited, steps] = [0, 0]
    const iterator = batches[Symbol.asyncIterator]()
    for (;;) {
      const asked = performance.now()
      const { done } = await iterator.next()
      // The first batch of an epoch has to be made before anything can be done with it.
      if (steps > 0) waited += performance.now() - asked
      if (done) break
      const until = performance.now() + stepMs
      while (performance.now() < until) rows.matmul(weights).dispose()
      steps++
    }
    return { all: (performance.now() - start) / steps, waited: waited / (steps - 1) }
  }
  await epoch(0)
  const { all } = await epoch(0)
  const stepMs = 1.5 * all
  const waits: number[] = []
  for (let round = 0; round < Math.ceil(options.effort.rounds / 3); round++) waits.push((await epoch(stepMs)).waited)
  const ours = waits.toSorted((a, b) => a - b)[waits.length >> 1]! / 1e3
  const note = `${((100 * ours * 1e3) / stepMs).toFixed(1)}% of a step that takes 1.5 times as long as its batch`
  facts.push({ name: 'waiting', unit: 'ms', ours, against: '5% of the step', limit: (0.05 * stepMs) / 1e3, note })
  await pool.close()
}
process.stdout.write(JSON.stringify(facts))
process.exit(0)
