import type { FunctionBuilder, FunctionRef, Local } from './function-builder.ts'
import { assign, define, type I32, when } from './i32-expression.ts'
import { assignVector, type Lanes, loaded } from './lanes.ts'
import type { PlainOp } from './opcodes.ts'
import { gatherWords, UNROLL } from './window-gather.ts'

/** Code that makes one pixel of those that a window sees, so many vectors of channels at a time. */
export interface WindowCombination {
  /** Whether it has to know where the pixels are: `moveTo` is called before each `visit`. */
  readonly wantsPlaces: boolean
  /** Before the first pixel. */
  start(window: Window, vectors: number): void
  moveTo(place: Local<'i32'>): void
  visit(pixel: Local<'i32'>, vectors: number): void
  /** Stores `UNROLL` vectors. */
  storeBlock(): void
  /** Stores what is left of the channels, of which one vector is at hand. */
  storeRest(channelsLeft: Local<'i32'>): void
}

/** The first pixel that a window sees, its place in the image, and how many there are. */
interface Window {
  readonly from: Local<'i32'>
  readonly place: Local<'i32'>
  readonly pixels: I32
}

/** What combinations are made in. */
export interface GatherContext {
  readonly f: FunctionBuilder
  readonly lanes: Lanes
  readonly storeLanes: FunctionRef
  readonly args: Local<'i32'>
  /** Number of channels of the output pixels before this call's first one. */
  readonly before: Local<'i32'>
}

export class WindowSum implements WindowCombination {
  readonly wantsPlaces = false
  readonly #context: GatherContext
  readonly #output: Local<'i32'>
  readonly #sums: readonly Local<'v128'>[]

  constructor(context: GatherContext) {
    const { f, args, lanes, before } = context
    this.#context = context
    this.#output = define(f, ['+', gatherWords.load(args, 'output'), ['*', before, lanes.size]])
    this.#sums = f.locals('v128', UNROLL)
  }

  start(_window: Window, vectors: number): void {
    const { f } = this.#context
    for (const sum of this.#sums.slice(0, vectors)) {
      f.splat('i32x4', 0)
      f.set(sum)
    }
  }

  moveTo(): void {}

  visit(pixel: Local<'i32'>, vectors: number): void {
    const { f, lanes } = this.#context
    for (const [u, sum] of this.#sums.slice(0, vectors).entries()) {
      f.get(pixel)
      f.mem('v128.load', 16 * u)
      f.get(sum)
      f.op(lanes.add)
      f.set(sum)
    }
  }

  storeBlock(): void {
    storeVectors(this.#context.f, this.#output, this.#sums)
  }

  storeRest(channelsLeft: Local<'i32'>): void {
    storeLast(this.#context, this.#output, this.#sums[0]!, channelsLeft)
  }
}

/** The largest, of which the first NaN is one, and its place: the first one of several. */
export class WindowMaximum implements WindowCombination {
  readonly wantsPlaces = true
  readonly #context: GatherContext
  readonly #output: Local<'i32'>
  readonly #positions: Local<'i32'>
  readonly #best: readonly Local<'v128'>[]
  readonly #where: readonly Local<'v128'>[]
  readonly #value: Local<'v128'>
  readonly #here: Local<'v128'>
  readonly #mask: Local<'v128'>

  constructor(context: GatherContext) {
    const { f, args, lanes, before } = context
    this.#context = context
    this.#output = define(f, ['+', gatherWords.load(args, 'output'), ['*', before, lanes.size]])
    this.#positions = define(f, ['+', gatherWords.load(args, 'positions'), ['*', before, 4]])
    this.#best = f.locals('v128', UNROLL)
    this.#where = f.locals('v128', UNROLL)
    this.#value = f.local('v128')
    this.#here = f.local('v128')
    this.#mask = f.local('v128')
  }

  start({ from, place, pixels }: Window, vectors: number): void {
    const { f, lanes, args } = this.#context
    // The first pixel is where the maximum starts: a maximum of -Infinity has a position too.
    when(
      f,
      pixels,
      () => {
        this.moveTo(place)
        for (let u = 0; u < vectors; u++) {
          assignVector(f, this.#best[u]!, loaded(f, from, 16 * u))
          f.get(this.#here)
          f.set(this.#where[u]!)
        }
      },
      () => {
        for (let u = 0; u < vectors; u++) {
          assignVector(f, this.#best[u]!, loaded(f, args, 4 * gatherWords.at('lowest'), lanes.loadSplat))
          f.splat('i32x4', -1)
          f.set(this.#where[u]!)
        }
      },
    )
  }

  moveTo(place: Local<'i32'>): void {
    const { f, lanes } = this.#context
    f.get(place)
    if (lanes.count === 2) f.op('i64.extend_i32_s')
    f.op(lanes.count === 2 ? 'i64x2.splat' : 'i32x4.splat')
    f.set(this.#here)
  }

  visit(pixel: Local<'i32'>, vectors: number): void {
    const { f } = this.#context
    for (const [u, best] of this.#best.slice(0, vectors).entries()) {
      assignVector(f, this.#value, loaded(f, pixel, 16 * u))
      this.#pushIsGreater(best)
      f.set(this.#mask)
      for (const [candidate, kept] of [
        [this.#value, best],
        [this.#here, this.#where[u]!],
      ] as const) {
        f.get(candidate)
        f.get(kept)
        f.get(this.#mask)
        f.op('v128.bitselect')
        f.set(kept)
      }
    }
  }

  storeBlock(): void {
    const { f, lanes } = this.#context
    storeVectors(f, this.#output, this.#best)
    for (const [u, places] of this.#where.entries()) this.#storePlaces(places, u * lanes.count * 4)
    f.increment(this.#positions, UNROLL * lanes.count * 4)
  }

  storeRest(channelsLeft: Local<'i32'>): void {
    const { f, lanes, storeLanes } = this.#context
    const places = this.#where[0]!
    storeLast(this.#context, this.#output, this.#best[0]!, channelsLeft)
    if (lanes.count === 4) {
      f.get(this.#positions)
      f.get(places)
      f.get(channelsLeft)
      f.call(storeLanes)
    } else {
      when(
        f,
        ['>=', channelsLeft, 2],
        () => this.#storePlaces(places, 0),
        () => {
          f.get(this.#positions)
          f.get(places)
          f.memLane('v128.store32_lane', 0)
        },
      )
    }
    assign(f, this.#positions, ['+', this.#positions, ['*', ['min', channelsLeft, lanes.count], 4]])
  }

  /** Pushes the mask of lanes in which the value takes the place of `best`: it is greater, or the first NaN. */
  #pushIsGreater(best: Local<'v128'>): void {
    const { f, lanes } = this.#context
    if (lanes.shape === 'i32x4' || lanes.shape === 'i64x2') {
      f.get(this.#value)
      f.get(best)
      f.op(`${lanes.shape}.gt_s`)
      return
    }
    f.get(best)
    f.get(best)
    f.op(`${lanes.shape}.eq` as PlainOp)
    f.get(this.#value)
    f.get(best)
    f.op(`${lanes.shape}.le` as PlainOp)
    f.op('v128.andnot')
  }

  /** Stores a whole vector of places as int32. */
  #storePlaces(places: Local<'v128'>, offset: number): void {
    const { f, lanes } = this.#context
    f.get(this.#positions)
    f.get(places)
    if (lanes.count === 4) {
      f.mem('v128.store', offset)
    } else {
      f.get(places)
      f.shuffle32(0, 2, 0, 2)
      f.memLane('v128.store64_lane', 0, offset)
    }
  }
}

/** Stores whole vectors and moves on. */
function storeVectors(f: FunctionBuilder, output: Local<'i32'>, vectors: readonly Local<'v128'>[]): void {
  for (const [u, vector] of vectors.entries()) {
    f.get(output)
    f.get(vector)
    f.mem('v128.store', 16 * u)
  }
  f.increment(output, vectors.length * 16)
}

/** Stores up to a vector of channels and moves on. */
function storeLast({ f, lanes, storeLanes }: GatherContext, output: Local<'i32'>, vector: Local<'v128'>, left: Local<'i32'>): void {
  f.get(output)
  f.get(vector)
  f.get(left)
  f.call(storeLanes)
  assign(f, output, ['+', output, ['*', ['min', left, lanes.count], lanes.size]])
}
