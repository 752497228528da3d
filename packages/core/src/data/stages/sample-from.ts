import { CotangentError } from '../../errors.ts'
import { randomOf } from '../key.ts'
import { run, wait } from '../later.ts'
import { Random } from '../random.ts'
import type { Stage } from '../stage.ts'
import { closeAll } from './zip.ts'

/** How one of several datasets is drawn for each element. */
export interface SampleFromOptions {
  /** How likely each dataset is, in any unit; default all equally. */
  readonly weights?: readonly number[]
  readonly seed?: number | bigint
  /** Ends when a dataset that was chosen has no more elements; default false, which goes on with the others. */
  readonly stopOnEmpty?: boolean
}

interface SampleState {
  readonly random: readonly number[]
  readonly inputs: readonly unknown[]
  readonly empty: readonly boolean[]
  /** The input whose turn it is, while its element is being made. */
  readonly chosen: number
}

/** Each element from a dataset that is chosen at random. */
export function sampleFromStage<T>(inputs: readonly Stage<T>[], options: SampleFromOptions): Stage<T> {
  const { weights = inputs.map(() => 1), seed, stopOnEmpty = false } = options
  if (inputs.length === 0)
    throw new CotangentError('invalid-argument', {
      op: 'sampleFrom',
      message: 'there are no datasets to sample from',
      hint: 'Give one dataset at least.',
    })
  checkWeights('sampleFrom', weights, inputs.length)
  const lengths = inputs.map(({ length }) => length)
  const sum = lengths.reduce<number>((total, length) => total + (length ?? Number.NaN), 0)
  return {
    name: 'sampleFrom',
    inputs,
    length:
      stopOnEmpty && sum !== 0
        ? lengths.every((length) => length === Infinity)
          ? Infinity
          : undefined
        : Number.isNaN(sum)
          ? undefined
          : sum,
    open(opening, state) {
      const saved = state as SampleState | undefined
      const random = saved ? new Random(saved.random) : randomOf(opening.key(seed))
      const cursors = inputs.map((input, i) => input.open(opening.input(i), saved?.inputs[i]))
      // An input of weight 0 gives nothing.
      const empty = saved ? [...saved.empty] : weights.map((weight) => weight === 0)
      let chosen = saved?.chosen ?? -1
      function* next() {
        for (;;) {
          if (chosen === -1) chosen = choose(weights, empty, random)
          if (chosen === -1) return undefined
          const step = yield* wait(cursors[chosen]!.next())
          if (step) {
            chosen = -1
            return step
          }
          empty[chosen] = true
          chosen = -1
          if (stopOnEmpty) empty.fill(true)
        }
      }
      return {
        next: () => run(next()),
        state: (): SampleState => ({ random: random.state, inputs: cursors.map((cursor) => cursor.state()), empty, chosen }),
        close: () => closeAll(cursors),
      }
    },
  }
}

function choose(weights: readonly number[], empty: readonly boolean[], random: Random): number {
  const total = weights.reduce((sum, weight, i) => sum + (empty[i] ? 0 : weight), 0)
  if (total === 0) return -1
  let left = random.uniform() * total
  let last = -1
  for (const [i, weight] of weights.entries()) {
    if (empty[i]) continue
    last = i
    left -= weight
    if (left < 0) return i
  }
  return last
}

export function checkWeights(op: string, weights: readonly number[], count: number): void {
  const bad = weights.find((weight) => !(weight >= 0 && weight < Infinity))
  if (weights.length === count && bad === undefined && weights.some((weight) => weight > 0)) return
  throw new CotangentError('invalid-argument', {
    op,
    message:
      weights.length !== count
        ? `there are ${weights.length} weights for ${count}`
        : bad !== undefined
          ? `a weight is ${bad}`
          : 'all weights are 0',
    hint: 'Weights are finite numbers from 0 on, not all of them 0.',
  })
}
