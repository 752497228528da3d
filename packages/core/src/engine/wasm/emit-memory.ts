import { type DType, dtypeInfo } from '../../dtype.ts'
import { scalarTypeOf } from '../scalar.ts'
import { decode, encode } from './emit-scalar.ts'
import type { Local } from './function-builder.ts'
import { lanesOf, transpose } from './lanes.ts'
import type { MemoryLaneOp } from './opcodes.ts'
import { type Expression, laneBytes, type VectorCode } from './vector-code.ts'

/** Where the lanes of a vector lie. */
export interface Place {
  readonly dtype: DType
  readonly lanes: 'same' | 'contiguous' | 'strided'
  readonly pointer: Local<'i32'>
  /** Bytes between neighbouring lanes, where they are `strided`. */
  readonly step: Local<'i32'> | undefined
  /** Vectors from the pointer. */
  readonly vector: number
  /** Lanes that exist, in the last vector of a row. */
  readonly remaining: Local<'i32'> | undefined
  /** Of stores: whether the values are bfloat16's already; see `bfloat16Values`. */
  readonly isBfloat16?: boolean
}

const loadLane = { 1: 'v128.load8_lane', 2: 'v128.load16_lane', 4: 'v128.load32_lane', 8: 'v128.load64_lane' } as const
const storeLane = { 1: 'v128.store8_lane', 2: 'v128.store16_lane', 4: 'v128.store32_lane', 8: 'v128.store64_lane' } as const

/** Bytes of an element in memory, and of its lane. */
function sizes(c: VectorCode, dtype: DType) {
  const { size } = dtypeInfo[dtype]
  return {
    size,
    lane: laneBytes(scalarTypeOf[dtype], c.lanes),
    loadLane: loadLane[size] as MemoryLaneOp,
    storeLane: storeLane[size] as MemoryLaneOp,
  }
}

/** Loads values of the dtype's scalar type. Contiguous vectors read up to 16 bytes, whatever remains of the row. */
export function emitLoad(c: VectorCode, place: Place): Expression {
  return decode(
    c,
    place.dtype,
    c.keep(
      place.lanes === 'same'
        ? splatAt(c, place.dtype, c.read(place.pointer))
        : place.lanes === 'contiguous'
          ? contiguous(c, place)
          : strided(c, place),
    ),
  )
}

/** The element at an address in every lane, zero-extended. */
function splatAt(c: VectorCode, dtype: DType, address: Expression): Expression {
  const { size, lane } = sizes(c, dtype)
  return () => {
    address()
    if (size >= 4) {
      c.f.mem(size === 8 ? 'v128.load64_splat' : 'v128.load32_splat')
    } else {
      const wide = lane === 8 ? 'i64' : 'i32'
      c.f.mem(size === 1 ? `${wide}.load8_u` : `${wide}.load16_u`)
      c.f.op(lane === 8 ? 'i64x2.splat' : 'i32x4.splat')
    }
  }
}

function contiguous(c: VectorCode, { dtype, pointer, vector }: Place): Expression {
  return contiguousAt(c, dtype, c.read(pointer), vector * c.lanes * dtypeInfo[dtype].size)
}

function contiguousAt(c: VectorCode, dtype: DType, address: Expression, offset: number): Expression {
  const { size, lane } = sizes(c, dtype)
  return () => {
    address()
    const bytes = size * c.lanes
    if (bytes === 16) c.f.mem('v128.load', offset, { align: 0 })
    else if (bytes === 8) c.f.mem(size === 2 ? 'v128.load16x4_u' : 'v128.load64_zero', offset, { align: 0 })
    else if (bytes === 4) c.f.mem('v128.load32_zero', offset, { align: 0 })
    else c.f.mem('v128.load16_splat', offset, { align: 0 })
    if (size === 1) c.f.op('i16x8.extend_low_i8x16_u')
    if (size === 1 || (size === 2 && bytes === 4)) c.f.op('i32x4.extend_low_i16x8_u')
    if (size < 4 && lane === 8) c.f.op('i64x2.extend_low_i32x4_u')
  }
}

/** Pushes the address of lane `lane`; lanes that do not exist take the first one's. */
function laneAddress(c: VectorCode, { pointer, step, vector, remaining }: Place, lane: number): void {
  const f = c.f
  const index = vector * c.lanes + lane
  f.get(pointer)
  if (index === 0) return
  f.get(step!)
  if (index > 1) {
    f.i32(index)
    f.op('i32.mul')
  }
  if (remaining) {
    f.i32(0)
    f.get(remaining)
    f.i32(lane)
    f.op('i32.gt_s')
    f.select()
  }
  f.op('i32.add')
}

function strided(c: VectorCode, place: Place): Expression {
  return byLane(c, place.dtype, (lane) => laneAddress(c, place, lane))
}

/**
 * A square of elements: lane l lies l steps from the pointer, and the elements for the following vectors lie behind it, side
 * by side. Gives each vector's elements, zero-extended; reads up to 16 bytes a lane. For four lanes.
 */
export function emitTransposedLoad(c: VectorCode, place: Place): Local<'v128'>[] {
  const rows = Array.from({ length: c.lanes }, (_, lane) => {
    const row = c.f.local('v128')
    c.set(
      row,
      contiguousAt(c, place.dtype, () => laneAddress(c, place, lane), 0),
    )
    return row
  })
  c.scope(() => {
    const free = rows.map(() => c.hold(() => c.f.get(rows[0]!)))
    transpose(c.f, lanesOf('float32', false), rows, free)
  })
  return rows
}

/** Lanes from addresses that `address` pushes, zero-extended. */
function byLane(c: VectorCode, dtype: DType, address: (lane: number) => void): Expression {
  const { size, lane: width, loadLane } = sizes(c, dtype)
  return () => {
    const value = c.hold(splatAt(c, dtype, () => address(0)))
    for (let lane = 1; lane < c.lanes; lane++) {
      c.set(value, () => {
        address(lane)
        c.f.get(value)
        c.f.memLane(loadLane, (lane * width) / size, 0, { align: 0 })
      })
    }
    c.f.get(value)
  }
}

/**
 * Elements `at` (int32 lanes) of the buffer at `base`. Where neighbouring lanes are known to want the same or neighbouring
 * elements, the first lane's index is enough. Indices of lanes that do not exist are not looked at.
 */
export function emitGather(
  c: VectorCode,
  dtype: DType,
  base: Local<'i32'>,
  at: Expression,
  lanes: Place['lanes'],
  remaining: Local<'i32'> | undefined,
): Expression {
  const shift = Math.log2(dtypeInfo[dtype].size)
  const address = (lane: number) => {
    c.f.get(base)
    c.extract('int32', at, lane)()
    if (remaining && lane > 0) {
      c.f.i32(0)
      c.f.get(remaining)
      c.f.i32(lane)
      c.f.op('i32.gt_s')
      c.f.select()
    }
    if (shift) {
      c.f.i32(shift)
      c.f.op('i32.shl')
    }
    c.f.op('i32.add')
  }
  const first = () => address(0)
  if (lanes === 'same') return decode(c, dtype, c.keep(splatAt(c, dtype, first)))
  if (lanes === 'contiguous') return decode(c, dtype, c.keep(contiguousAt(c, dtype, first, 0)))
  return decode(c, dtype, c.keep(byLane(c, dtype, address)))
}

/** Stores `x`, of the dtype's scalar type. Only lanes that exist are written; where all are the same, the first. */
export function emitStore(c: VectorCode, place: Place, x: Expression): void {
  c.scope(() => {
    const { size, lane: width, storeLane } = sizes(c, place.dtype)
    const asItIs = place.dtype === 'bfloat16' && place.isBfloat16
    const raw = c.keep(asItIs ? c.shift('i32x4.shr_u', x, 16) : encode(c, place.dtype, x))
    const store = (lane: number) => {
      if (place.lanes === 'contiguous') c.f.get(place.pointer)
      else laneAddress(c, { ...place, remaining: undefined }, lane)
      raw()
      const offset = place.lanes === 'contiguous' ? (place.vector * c.lanes + lane) * size : 0
      c.f.memLane(storeLane, (lane * width) / size, offset, { align: 0 })
    }
    const each = () => {
      for (let lane = 0; lane < c.lanes; lane++) {
        if (lane === 0 || !place.remaining) {
          store(lane)
        } else {
          c.f.get(place.remaining)
          c.f.i32(lane)
          c.f.op('i32.gt_s')
          c.f.if(() => store(lane))
        }
      }
    }
    if (place.lanes === 'same') return storeFirst()
    if (place.lanes === 'strided') return each()
    if (!place.remaining) return storeWhole()
    c.f.get(place.remaining)
    c.f.i32(c.lanes)
    c.f.op('i32.ge_s')
    c.f.if(storeWhole, each)

    function storeFirst(): void {
      c.f.get(place.pointer)
      raw()
      c.f.memLane(storeLane, 0, 0, { align: 0 })
    }

    function storeWhole(): void {
      const bytes = size * c.lanes
      c.f.get(place.pointer)
      raw()
      if (size === 2) {
        raw()
        c.f.op('i16x8.narrow_i32x4_u')
      } else if (size < width) {
        raw()
        c.f.shuffle(Array.from({ length: 16 }, (_, i) => (i < bytes ? Math.floor(i / size) * width + (i % size) : i % 16)))
      }
      const offset = place.vector * bytes
      if (bytes === 16) c.f.mem('v128.store', offset, { align: 0 })
      else
        c.f.memLane(({ 2: 'v128.store16_lane', 4: 'v128.store32_lane', 8: 'v128.store64_lane' } as const)[bytes as 2 | 4 | 8], 0, offset, {
          align: 0,
        })
    }
  })
}
