import { CotangentError } from '../../errors.ts'
import { checkCount } from '../check.ts'
import { indexedStage, stridden } from '../indexed.ts'
import { Pending, run } from '../later.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'

interface Range {
  readonly start: number
  readonly step: number
  /** Elements, where they are known. */
  readonly length: number | undefined
  /** Elements at most. */
  readonly limit: number
}

/** The first `count` elements. */
export function takeStage<T>(input: Stage<T>, count: number): Stage<T> {
  checkCount('take', 'count', count, { least: 0, infinite: true })
  const length = input.length === undefined ? undefined : Math.min(count, input.length)
  return sliceStage('take', input, { start: 0, step: 1, length, limit: count })
}

/** All but the first `count` elements. */
export function skipStage<T>(input: Stage<T>, count: number): Stage<T> {
  checkCount('skip', 'count', count, { least: 0, infinite: true })
  const length = input.length === undefined ? undefined : count >= input.length ? 0 : input.length - count
  return sliceStage('skip', input, { start: count, step: 1, length, limit: Infinity })
}

/** Every `count`-th element, from the `index`-th on. */
export function shardStage<T>(input: Stage<T>, count: number, index: number): Stage<T> {
  checkCount('shard', 'count', count)
  if (!Number.isInteger(index) || index < 0 || index >= count) {
    throw new CotangentError('index-out-of-range', {
      op: 'shard',
      message: `there is no shard ${index} of ${count}`,
      hint: `The index is 0 to ${count - 1}.`,
    })
  }
  const length = input.length === undefined ? undefined : Math.max(0, Math.ceil((input.length - index) / count))
  return sliceStage('shard', input, { start: index, step: count, length, limit: Infinity })
}

function sliceStage<T>(name: string, input: Stage<T>, { start, step, length, limit }: Range): Stage<T> {
  const { indexed } = input
  if (indexed && length !== undefined) {
    return indexedStage({
      name,
      inputs: [input],
      length,
      hasRows: input.hasRows ?? false,
      open: (opening) => stridden(indexed(opening.input()), { start: length === 0 ? 0 : start, step, length }),
    })
  }
  return stageOver<T, T, { read: number; given: number }>({
    name,
    input,
    length,
    pass: (cursor, _, saved) => {
      let { read, given } = saved ?? { read: 0, given: 0 }
      function* next() {
        while (given < limit) {
          const answer = cursor.next()
          const found = answer instanceof Pending ? ((yield answer) as Step<T> | undefined) : answer
          if (!found) return undefined
          const wanted = read >= start && (read - start) % step === 0
          read++
          if (!wanted) continue
          given++
          return found
        }
        return undefined
      }
      return { next: () => run(next()), state: () => ({ read, given }) }
    },
  })
}
