import { CotangentError } from '../../errors.ts'
import { randomOf } from '../key.ts'
import { run, wait } from '../later.ts'
import { applyTo } from '../place.ts'
import { Random } from '../random.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'
import { checkWeights } from './sample-from.ts'

/** The shares that classes are to have in what comes out, and what they are in what goes in. */
export interface RejectionResampleOptions {
  /** How often each class is to come, in any unit. */
  readonly target: readonly number[]
  /** How often each comes in the input. Default: what has come so far. */
  readonly initial?: readonly number[]
  readonly seed?: number | bigint
}

interface ResampleState {
  readonly counts: readonly number[]
  readonly random: readonly number[]
  readonly held: SavedStep | null
}

/** Leaves out elements at random such that classes come as often as wanted. */
export function rejectionResampleStage<T>(
  input: Stage<T>,
  classOf: (value: T) => number | PromiseLike<number>,
  { target, initial, seed }: RejectionResampleOptions,
): Stage<T> {
  const name = 'rejectionResample'
  checkWeights(name, target, target.length)
  if (initial) checkWeights(name, initial, target.length)
  return stageOver<T, T, ResampleState>({
    name,
    input,
    length: undefined,
    pass: (cursor, opening, saved) => {
      const random = saved ? new Random(saved.random) : randomOf(opening.key(seed))
      const counts = [...(saved?.counts ?? target.map(() => 0))]
      let held: Step<T> | undefined = saved?.held ? loadStep(saved.held) : undefined
      function* next() {
        for (;;) {
          held ??= yield* wait(cursor.next())
          if (!held) return undefined
          const step: Step<T> = held
          try {
            const found = yield* wait(applyTo(name, step, classOf))
            if (!(found in target)) {
              throw new CotangentError('index-out-of-range', {
                op: name,
                message: `an element has class ${found}`,
                hint: `target has classes 0 to ${target.length - 1}.`,
              })
            }
            counts[found]!++
            if (random.uniform() < acceptance(found, target, initial ?? counts)) return step
          } finally {
            held = undefined
          }
        }
      }
      return { next: () => run(next()), state: () => ({ counts: [...counts], random: random.state, held: held ? saveStep(held) : null }) }
    },
  })
}

/** The class that is the rarest compared to what is wanted is always taken, others in proportion. */
function acceptance(found: number, target: readonly number[], initial: readonly number[]): number {
  // A class that has not come cannot be waited for.
  const ratios = target.map((wanted, i) => (initial[i]! > 0 ? wanted / initial[i]! : 0))
  const most = Math.max(...ratios)
  return most === 0 ? 0 : ratios[found]! / most
}
