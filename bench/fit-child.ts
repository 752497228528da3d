/** A child process of facts.ts: what a step of `Trainer.fit` costs beside the same step compiled by hand. Writes one JSON array of facts. */
import { setImmediate } from 'node:timers/promises'
import * as ct from 'cotangent'
import { Trainer, type LossFunction } from 'cotangent/train'
import type { WorkOf } from './case.ts'
import { train as cases } from './cases/train.ts'
import type { Fact } from './facts.ts'
import { spread } from './measure.ts'
import { labels, type PeerOptions, randomNormal } from './peer.ts'
import peer from './peers/ours.ts'

const options = JSON.parse(process.argv[2]!) as PeerOptions & { filter: string; effort: { rounds: number } }
console.log = console.info = console.error
await peer.open(options)

const relu = (x: ct.Tensor): ct.Tensor => x.relu()

function modelOf({ sizes }: WorkOf<'mlp'>): ct.nn.Sequential {
  const linear = sizes.slice(1).map((out, i) => new ct.nn.Linear(sizes[i]!, out) as ct.nn.Module as ct.nn.TensorModule)
  return new ct.nn.Sequential(...linear.flatMap((layer, i) => (i < linear.length - 1 ? [layer, relu] : [layer]))) as ct.nn.Sequential
}

const optimizerOf = ({ optimiser, learningRate: lr }: WorkOf<'mlp'>, model: ct.nn.Module) =>
  optimiser === 'adam' ? new ct.optim.Adam(model, { lr }) : new ct.optim.SGD(model, { lr })

function batchOf({ sizes, batch, loss }: WorkOf<'mlp'>): readonly [ct.Tensor, ct.Tensor] {
  const outputs = sizes.at(-1)!
  const target = loss === 'mse' ? ct.tensor(randomNormal(batch * outputs), { shape: [batch, outputs] }) : ct.tensor(labels(batch, outputs))
  return [ct.tensor(randomNormal(batch * sizes[0]!), { shape: [batch, sizes[0]!] }), target]
}

/** Seconds that a step takes by hand, and that `fit` adds to it, in turns. */
interface Turns {
  readonly hand: number
  readonly adds: number
}

/** A trainer, and the same step compiled by hand; both train one model, so that they share where its weights lie. */
function pairOf(work: WorkOf<'mlp'>): { readonly trainer: Trainer; readonly step: (x: ct.Tensor, y: ct.Tensor) => unknown } {
  const loss = (work.loss === 'mse' ? ct.mseLoss : ct.crossEntropy) as LossFunction
  const model = modelOf(work)
  const optimizer = optimizerOf(work, model)
  const step = ct.compile((x: ct.Tensor, y: ct.Tensor) => {
    const value = loss(model.forward(x) as ct.Tensor, y)
    optimizer.zeroGrad()
    value.backward()
    optimizer.step()
    return value
  })
  return { trainer: new Trainer(model, { optimizer, loss, display: 'quiet' }), step }
}

/** Fresh programs now and then: where their working memory lies makes some per cent, which is neither's. */
const pairs = 5

async function compare(name: string, unit: 'us' | 'ms', work: WorkOf<'mlp'>, steps: number): Promise<Fact> {
  const batches = new Array<readonly [ct.Tensor, ct.Tensor]>(steps).fill(batchOf(work))
  const timed = async (run: () => Promise<unknown>): Promise<number> => {
    // What was left to the host before is not this run's.
    await setImmediate()
    const start = performance.now()
    await run()
    return (performance.now() - start) / 1e3 / steps
  }
  const kept = Array.from({ length: pairs }, () => pairOf(work))
  const rounds: Turns[] = []
  for (const { trainer, step } of kept) {
    const byHand = async () => {
      for (const [x, y] of batches) step(x, y)
    }
    for (let round = 0; round <= options.effort.rounds / 2; round++) {
      const fit = await timed(() => trainer.fit(batches))
      const hand = await timed(byHand)
      // The first round compiles and warms up.
      if (round > 0) rounds.push({ hand, adds: fit - hand })
    }
  }
  const hand = spread(rounds.map((each) => each.hand)).median
  const adds = spread(rounds.map((each) => each.adds)).median
  const note = `fit adds ${(1e6 * adds).toFixed(1)} us a step, ${((100 * adds) / hand).toFixed(1)}%`
  return { name: `${name}-fit`, unit, ours: hand + adds, against: 'loop by hand', limit: hand, note }
}

const facts: Fact[] = []
for (const { name, unit, work } of cases) {
  if (work.kind !== 'mlp' || !name.includes(options.filter)) continue
  facts.push(await compare(name, unit === 'us' ? 'us' : 'ms', work, unit === 'us' ? 10_000 : 100))
}
process.stdout.write(JSON.stringify(facts))
process.exit(0)
