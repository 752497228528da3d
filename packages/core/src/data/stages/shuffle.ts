import { CotangentError } from '../../errors.ts'
import { checkCount } from '../check.ts'
import { indexedStage, reordered } from '../indexed.ts'
import { randomOf } from '../key.ts'
import { Pending, run } from '../later.ts'
import { Random } from '../random.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import { type Indexed, type Opening, type Pass, type Cursor, type Stage, stageOver, type Step } from '../stage.ts'

/** How elements are put in random order: through a buffer, from a seed, and anew in each pass or not. */
export interface ShuffleOptions {
  /**
   * Elements among which the next one is chosen. Default: all of them, for which data without indices (streams, files) is held in
   * memory as a whole.
   */
  readonly bufferSize?: number
  /** Default: the dataset's own, which `manualSeed` determines. */
  readonly seed?: number | bigint
  /** A new order in each pass; default true. One order for all of them needs a seed, so that datasets made from this one (`take`, `skip`) share it. */
  readonly reshuffleEachEpoch?: boolean
}

export function shuffleStage<T>(input: Stage<T>, { bufferSize = Infinity, seed, reshuffleEachEpoch = true }: ShuffleOptions): Stage<T> {
  checkCount('shuffle', 'bufferSize', bufferSize, { infinite: true })
  if (!reshuffleEachEpoch && seed === undefined) {
    throw new CotangentError('invalid-argument', {
      op: 'shuffle',
      message: 'one order for all passes needs a seed',
      hint: 'Without, take() and skip() of this dataset would each see an order of their own, and parts of a split would overlap.',
    })
  }
  if (input.length === Infinity && bufferSize === Infinity) {
    throw new CotangentError('invalid-argument', {
      op: 'shuffle',
      message: 'there is no order of elements that never end',
      hint: 'Give a bufferSize, or shuffle before repeat().',
    })
  }
  const random = (opening: Opening) => randomOf(opening.key(seed, { eachEpoch: reshuffleEachEpoch }))
  const { indexed } = input
  if (indexed && input.length !== Infinity) {
    const open = (opening: Opening) => shuffled(indexed(opening.input()), bufferSize, random(opening))
    return indexedStage({ name: 'shuffle', inputs: [input], length: input.length!, hasRows: input.hasRows ?? false, open })
  }
  return stageOver<T, T, ShuffleState>({
    name: 'shuffle',
    input,
    length: input.length,
    pass: (cursor, opening, saved) => bufferPass(cursor, bufferSize, saved, random(opening)),
  })
}

/** The order is that of the buffer below, so that it does not depend on what the elements are stored in. */
function shuffled<T>(elements: Indexed<T>, bufferSize: number, random: Random): Indexed<T> {
  const { length } = elements
  const order = new Int32Array(length)
  const buffer = Int32Array.from({ length: Math.min(bufferSize, length) }, (_, i) => i)
  let filled = buffer.length
  let read = filled
  for (let i = 0; i < length; i++) {
    const j = random.below(filled)
    order[i] = buffer[j]!
    buffer[j] = buffer[--filled]!
    if (read < length) buffer[filled++] = read++
  }
  return reordered(elements, order)
}

interface ShuffleState {
  readonly random: readonly number[]
  readonly buffer: readonly SavedStep[]
}

/** Takes a random element out of a buffer and the next one of the input in its place. */
function bufferPass<T>(input: Cursor<T>, bufferSize: number, saved: ShuffleState | undefined, fresh: Random): Pass<T, ShuffleState> {
  const random = saved ? new Random(saved.random) : fresh
  const buffer: Step<T>[] = (saved?.buffer ?? []).map(loadStep<T>)
  let ended = false
  function* next() {
    while (!ended && buffer.length < bufferSize) {
      const answer = input.next()
      const step = answer instanceof Pending ? ((yield answer) as Step<T> | undefined) : answer
      if (step) buffer.push(step)
      else ended = true
    }
    if (buffer.length === 0) return undefined
    const chosen = random.below(buffer.length)
    const step = buffer[chosen]!
    const last = buffer.pop()!
    if (chosen < buffer.length) buffer[chosen] = last
    return step
  }
  return {
    next: () => run(next()),
    state: () => ({ random: random.state, buffer: buffer.map(saveStep) }),
  }
}
