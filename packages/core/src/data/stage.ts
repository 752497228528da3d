import { type Key, keyOf, mix, mixKeys } from './key.ts'
import type { Later } from './later.ts'
import type { Place } from './place.ts'

/** An element on its way through a pipeline, with where it came from. */
export interface Step<T> {
  readonly value: T
  readonly place: Place | undefined
}

/** One pass through a stage. `next` is called again only when the last answer is there. */
export interface Cursor<T> {
  /** The next element; undefined at the end. */
  next(): Later<Step<T> | undefined>
  /**
   * What it takes to go on behind the last element that was handed out: tensors, numbers and the like in plain objects and arrays.
   * May be asked for at any time; an element that is being made counts as not handed out.
   */
  state(): unknown
  /** Gives back files, workers and the like; later calls do nothing. */
  close(): Later<void>
}

/** A part of a pipeline: what a `Dataset` is made of. It holds no position; passes do. */
export interface Stage<T> {
  /** As the user called it. */
  readonly name: string
  readonly inputs: readonly Stage<unknown>[]
  /** Elements in one pass, where that is known: Infinity if it never ends. */
  readonly length: number | undefined
  /** @param state What the `state` of an earlier cursor was: the pass goes on there. */
  open(opening: Opening, state?: unknown): Cursor<T>
  /** For stages whose elements can be had in any order. */
  indexed?(opening: Opening): Indexed<T>
  /** Whether those have `rows`. */
  readonly hasRows?: boolean
}

/** Elements that can be had in any order. */
export interface Indexed<T> {
  readonly length: number
  at(index: number): Later<T>
  placeOf(index: number): Place | undefined
  /** Several elements as one batch, faster than one by one and then put together. Rows that follow each other come as a range. */
  rows?(indices: Int32Array | { readonly start: number; readonly count: number }): T
}

/** Which pass it is: what random choices depend on, besides seeds that stages have of their own. */
export class Opening {
  readonly #seed: Key
  readonly #epoch: Key

  private constructor(seed: Key, epoch: Key) {
    this.#seed = seed
    this.#epoch = epoch
  }

  static of(seed: bigint, epoch: number): Opening {
    return new Opening(keyOf(seed), mix([0, 0], epoch))
  }

  /** For the i-th input: so that two stages of one pipeline make different choices. */
  input(i = 0): Opening {
    return new Opening(mix(this.#seed, i), this.#epoch)
  }

  /** For the i-th time that an input is gone through within this pass. */
  repetition(i: number): Opening {
    return new Opening(this.#seed, mix(this.#epoch, i))
  }

  /** For an input that is to be the same in each pass. */
  get fixed(): Opening {
    return new Opening(this.#seed, [0, 0])
  }

  /** The key of a stage's own choices. */
  key(seed: number | bigint | undefined, { eachEpoch = true }: { readonly eachEpoch?: boolean } = {}): Key {
    const own = seed === undefined ? this.#seed : keyOf(seed)
    return eachEpoch ? mixKeys(own, this.#epoch) : own
  }
}

/** What a pipeline is made of, as one line: states fit pipelines that read alike. */
export function describeStage({ name, inputs }: Stage<unknown>): string {
  return inputs.length === 0 ? name : `${inputs.map(describeStage).join(' + ')} > ${name}`
}

/** What a stage with one input adds to it. */
export interface Pass<U, S> {
  next(): Later<Step<U> | undefined>
  state?(): S
  close?(): Later<void>
}

interface StageSpec<T, U, S> {
  readonly name: string
  readonly input: Stage<T>
  readonly length: number | undefined
  /** @param saved What `state` of an earlier pass was. */
  readonly pass: (input: Cursor<T>, opening: Opening, saved: S | undefined) => Pass<U, S>
}

/** A stage over one input, whose state and end follow from the input's and its own. */
export function stageOver<T, U, S = undefined>({ name, input, length, pass }: StageSpec<T, U, S>): Stage<U> {
  return {
    name,
    inputs: [input],
    length,
    open(opening, state) {
      const saved = state as { input: unknown; own?: S } | undefined
      const cursor = input.open(opening.input(), saved?.input)
      const own = pass(cursor, opening, saved?.own)
      return {
        next: () => own.next(),
        state: () => ({ input: cursor.state(), own: own.state?.() }),
        close: () => (own.close ? own.close() : cursor.close()),
      }
    },
  }
}
