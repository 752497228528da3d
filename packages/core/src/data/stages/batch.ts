import { CotangentError } from '../../errors.ts'
import { checkCount } from '../check.ts'
import { collate, type CollateOptions } from '../collate.ts'
import { Pending, run, wait } from '../later.ts'
import { applyTo, type Place, span } from '../place.ts'
import { loadValue, saveValue } from '../saved-value.ts'
import { type Cursor, type Indexed, type Opening, type Pass, type Stage, stageOver, type Step } from '../stage.ts'

/** How elements become batches, and what becomes of a last one that is not full. */
export interface BatchOptions<T, B> extends CollateOptions {
  /** Leaves out a last batch that is not full. */
  readonly dropLast?: boolean
  /** Makes a batch of elements; default `collate`, which stacks. */
  readonly collate?: ((elements: T[]) => B | PromiseLike<B>) | undefined
}

export function batchStage<T, B>(
  input: Stage<T>,
  batchSize: number,
  { dropLast = false, collate: own, dtypes }: BatchOptions<T, B>,
  name = 'batch',
): Stage<B> {
  checkCount(name, 'batchSize', batchSize)
  if (own && dtypes !== undefined) {
    throw new CotangentError('invalid-argument', {
      op: name,
      message: 'there are both dtypes and a collate function',
      hint: 'Pass them on: { collate: (elements) => collate(elements, { dtypes }) }.',
    })
  }
  const batches = input.length === undefined ? undefined : input.length / batchSize
  const length = batches === undefined ? undefined : dropLast ? Math.floor(batches) : Math.ceil(batches)
  const { indexed } = input
  if (indexed && input.hasRows && !own && dtypes === undefined)
    return rowsStage(input, batchSize, length!, (opening) => indexed(opening)) as unknown as Stage<B>
  return stageOver<T, B, GatherState>({
    name,
    input,
    length,
    pass: (cursor, _, saved) =>
      gather(cursor, saved, { op: name, size: batchSize, dropLast, make: own ?? ((elements) => collate(elements, { dtypes }) as B) }),
  })
}

/** Batches that are taken out of tensors as a whole. */
function rowsStage<T>(input: Stage<T>, batchSize: number, length: number, indexed: (opening: Opening) => Indexed<T>): Stage<T> {
  return {
    name: 'batch',
    inputs: [input],
    length,
    open(opening, state) {
      const elements = indexed(opening.input())
      let next = (state as number | undefined) ?? 0
      return {
        next: () => {
          if (next >= length) return undefined
          const start = next++ * batchSize
          const count = Math.min(batchSize, elements.length - start)
          return { value: elements.rows!({ start, count }), place: span(elements.placeOf(start), elements.placeOf(start + count - 1)) }
        },
        state: () => next,
        close: () => {},
      }
    },
  }
}

interface GatherState {
  readonly elements: readonly unknown[]
  readonly place: Place | null
}

interface GatherOptions<T, B> {
  readonly op: string
  readonly size: number
  readonly dropLast: boolean
  readonly make: (elements: T[]) => B | PromiseLike<B>
}

/** Takes elements together, `size` at a time. */
function gather<T, B>(
  input: Cursor<T>,
  saved: GatherState | undefined,
  { op, size, dropLast, make }: GatherOptions<T, B>,
): Pass<B, GatherState> {
  let elements = (saved?.elements ?? []).map(loadValue) as T[]
  let place = saved?.place ?? undefined
  function* next() {
    while (elements.length < size) {
      const answer = input.next()
      const step = answer instanceof Pending ? ((yield answer) as Step<T> | undefined) : answer
      if (!step) {
        if (dropLast) elements = []
        break
      }
      elements.push(step.value)
      place = span(place, step.place)
    }
    if (elements.length === 0) return undefined
    try {
      const value = yield* wait(applyTo(op, { value: elements, place }, make))
      return { value, place }
    } finally {
      elements = []
      place = undefined
    }
  }
  return { next: () => run(next()), state: () => ({ elements: elements.map(saveValue), place: place ?? null }) }
}
