import type { FunctionBuilder, Local } from './function-builder.ts'
import type { MemoryLaneOp, MemoryOp, PlainOp } from './opcodes.ts'

/** Element types that the heavy routines compute in. Others are converted by the caller. */
export const laneTypes = ['float32', 'float64', 'int32', 'int64'] as const
export type LaneType = (typeof laneTypes)[number]

/** How a 128-bit vector holds elements of one type, and the instructions on it. */
export interface Lanes {
  readonly count: 2 | 4
  /** Bytes an element. */
  readonly size: 4 | 8
  readonly shape: 'f32x4' | 'f64x2' | 'i32x4' | 'i64x2'
  readonly scalar: 'f32' | 'f64' | 'i32' | 'i64'
  readonly loadSplat: MemoryOp
  readonly loadScalar: MemoryOp
  readonly storeScalar: MemoryOp
  readonly loadLane: MemoryLaneOp
  readonly storeLane: MemoryLaneOp
  readonly add: PlainOp
  readonly mul: PlainOp
  readonly scalarAdd: PlainOp
  readonly scalarMul: PlainOp
  /** Fused multiply-add where there is one. */
  readonly madd: PlainOp | undefined
}

const fourLanes = {
  count: 4,
  size: 4,
  loadSplat: 'v128.load32_splat',
  loadLane: 'v128.load32_lane',
  storeLane: 'v128.store32_lane',
} as const
const twoLanes = {
  count: 2,
  size: 8,
  loadSplat: 'v128.load64_splat',
  loadLane: 'v128.load64_lane',
  storeLane: 'v128.store64_lane',
} as const

function named<S extends Lanes['shape'], T extends Lanes['scalar']>(shape: S, scalar: T) {
  return {
    shape,
    scalar,
    loadScalar: `${scalar}.load`,
    storeScalar: `${scalar}.store`,
    add: `${shape}.add`,
    mul: `${shape}.mul`,
    scalarAdd: `${scalar}.add`,
    scalarMul: `${scalar}.mul`,
  } as const
}

const table = {
  float32: { ...fourLanes, ...named('f32x4', 'f32'), madd: 'f32x4.relaxed_madd' },
  float64: { ...twoLanes, ...named('f64x2', 'f64'), madd: 'f64x2.relaxed_madd' },
  int32: { ...fourLanes, ...named('i32x4', 'i32'), madd: undefined },
  int64: { ...twoLanes, ...named('i64x2', 'i64'), madd: undefined },
} as const satisfies Record<LaneType, Lanes>

/** `relaxed`: fuse multiply-add (check `wasmFeatures().relaxedSimd`). */
export function lanesOf(type: LaneType, relaxed: boolean): Lanes {
  return relaxed ? table[type] : { ...table[type], madd: undefined }
}

/** Lanes that hold pairs of 16-bit numbers, whose products are added up: `mul` is the sum of two products. */
export const pairLanes: Lanes = { ...table.int32, mul: 'i32x4.dot_i16x8_s' }

/** A vector in emitted code: a local, or what pushes one. */
export type Vector = Local<'v128'> | (() => void)

export const pushVector = (f: FunctionBuilder, x: Vector) => (typeof x === 'function' ? x() : f.get(x))

/** The vector in memory, `offset` bytes behind an address. */
export const loaded =
  (f: FunctionBuilder, address: Local<'i32'>, offset = 0, op: MemoryOp = 'v128.load'): Vector =>
  () => {
    f.get(address)
    f.mem(op, offset)
  }

/** `to = x` */
export function assignVector(f: FunctionBuilder, to: Local<'v128'>, x: Vector): void {
  pushVector(f, x)
  f.set(to)
}

/** Makes all lanes zero. */
export function clearVectors(f: FunctionBuilder, { shape }: Lanes, vectors: readonly Local<'v128'>[]): void {
  for (const vector of vectors) assignVector(f, vector, () => f.splat(shape, 0))
}

/** `accumulator += x` */
export function addVector(f: FunctionBuilder, { add }: Lanes, accumulator: Local<'v128'>, x: Vector): void {
  f.get(accumulator)
  pushVector(f, x)
  f.op(add)
  f.set(accumulator)
}

/** `accumulator += a * b` */
export function multiplyAdd(f: FunctionBuilder, { madd, mul, add }: Lanes, accumulator: Local<'v128'>, a: Vector, b: Vector): void {
  if (!madd) f.get(accumulator)
  pushVector(f, a)
  pushVector(f, b)
  if (madd) {
    f.get(accumulator)
    f.op(madd)
  } else {
    f.op(mul)
    f.op(add)
  }
  f.set(accumulator)
}

/**
 * Rows become columns: `rows` are `lanes.count` vectors that are overwritten with their transpose.
 * `temporaries` are as many vectors more.
 */
export function transpose(f: FunctionBuilder, lanes: Lanes, rows: readonly Local<'v128'>[], temporaries: readonly Local<'v128'>[]): void {
  const zip = (a: Local<'v128'>, b: Local<'v128'>, to: Local<'v128'>, order: readonly [number, number, number, number]) => {
    f.get(a)
    f.get(b)
    f.shuffle32(...order)
    f.set(to)
  }
  if (lanes.count === 2) {
    const [a, b] = rows as [Local<'v128'>, Local<'v128'>]
    const [t] = temporaries as [Local<'v128'>]
    zip(a, b, t, [0, 1, 4, 5])
    zip(a, b, b, [2, 3, 6, 7])
    f.get(t)
    f.set(a)
    return
  }
  const [a, b, c, d] = rows as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>]
  const [p, q, r, s] = temporaries as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>]
  zip(a, b, p, [0, 4, 1, 5])
  zip(a, b, q, [2, 6, 3, 7])
  zip(c, d, r, [0, 4, 1, 5])
  zip(c, d, s, [2, 6, 3, 7])
  zip(p, r, a, [0, 1, 4, 5])
  zip(p, r, b, [2, 3, 6, 7])
  zip(q, s, c, [0, 1, 4, 5])
  zip(q, s, d, [2, 3, 6, 7])
}
