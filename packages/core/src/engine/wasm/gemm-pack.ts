import type { ModuleBuilder } from './assembler.ts'
import { decode } from './emit-scalar.ts'
import type { FunctionRef, Local } from './function-builder.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { type Lanes, transpose } from './lanes.ts'
import { type ModuleContext, VectorCode } from './vector-code.ts'

/** Dtypes that become float32 while they are packed. */
export type HalfType = 'bfloat16' | 'float16'

/** What is packed, where it is not of the lanes' own type. */
export interface PackedHalf {
  readonly dtype: HalfType
  readonly context: ModuleContext
}

/** Bytes between panels of `width` rows and `k` columns; transposed writes may round k up to whole vectors. */
export function panelBytes(lanes: Lanes, width: number, k: number): number {
  return (k + lanes.count) * width * lanes.size
}

/** `panelBytes` as code. */
export function panelBytesCode(lanes: Lanes, width: number, k: I32): I32 {
  return ['*', ['+', k, lanes.count], width * lanes.size]
}

/**
 * Emits `pack(source, rowStride, kStride, destination, panelBytes, rows, k)`: copies a matrix into panels of `width` rows,
 * within which the elements of one k lie next to each other. Strides in bytes. Rows that are missing in the last panel hold
 * anything. Reads up to a vector beyond the operand; writes up to a vector's worth of k beyond a panel's last.
 */
export function emitPack(m: ModuleBuilder, lanes: Lanes, width: number, half?: PackedHalf): FunctionRef {
  const f = m.function(`pack${width}${half?.dtype ?? ''}`)
  const elementBytes = half ? 2 : lanes.size
  const vectorBytes = elementBytes * lanes.count
  const code = half && new VectorCode(f, half.context)

  /** Pushes a vector of elements that are neighbours in memory. */
  const loadVector = (pointer: Local<'i32'>, offset = 0) => {
    f.get(pointer)
    if (code) widen(() => f.mem('v128.load16x4_u', offset, { align: 0 }))
    else f.mem('v128.load', offset)
  }

  /** What is on the stack, once `load` has made a vector of bits of it, as numbers. */
  const widen = (load: () => void) => {
    load()
    const bits = f.local('v128')
    f.set(bits)
    code!.scope(() => decode(code!, half!.dtype, code!.read(bits))())
    f.release(bits)
  }

  const copyElement = (to: Local<'i32'>, from: Local<'i32'>) => {
    f.get(to)
    f.get(from)
    if (code) {
      widen(() => {
        f.mem('i32.load16_u')
        f.op('i32x4.splat')
      })
      f.memLane('v128.store32_lane', 0)
    } else {
      f.mem(lanes.loadScalar)
      f.mem(lanes.storeScalar)
    }
  }

  const [source, rowStride, kStride, destination] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const [panel, rows, k] = [f.param('i32'), f.param('i32'), f.param('i32')]
  const [from, to, end] = f.locals('i32', 3)
  const stepBytes = width * lanes.size
  const vectors = width / lanes.count

  /** Rows are contiguous in memory: move whole vectors. */
  const copy = () => {
    assign(f, from, source)
    assign(f, to, destination)
    assign(f, end, ['+', destination, ['*', k, stepBytes]])
    f.while(
      () => push(f, ['!=', to, end]),
      () => {
        for (let v = 0; v < vectors; v++) {
          f.get(to)
          loadVector(from, vectorBytes * v)
          f.mem('v128.store', 16 * v)
        }
        assign(f, from, ['+', from, kStride])
        f.increment(to, stepBytes)
      },
    )
  }

  const pointers = f.locals('i32', lanes.count)
  const square = f.locals('v128', lanes.count)
  const temporaries = f.locals('v128', lanes.count)
  const kLeft = f.local('i32')

  /** k is contiguous in memory: transpose squares. */
  const transposeSquares = () => {
    for (let group = 0; group < vectors; group++) {
      pointers.forEach((pointer, i) =>
        assign(f, pointer, ['+', source, ['*', rowStride, ['min', group * lanes.count + i, ['-', rows, 1]]]]),
      )
      assign(f, to, ['+', destination, group * 16])
      assign(f, kLeft, k)
      f.while(
        () => push(f, ['>', kLeft, 0]),
        () => {
          pointers.forEach((pointer, i) => {
            loadVector(pointer)
            f.set(square[i]!)
            f.increment(pointer, vectorBytes)
          })
          transpose(f, lanes, square, temporaries)
          square.forEach((row, i) => {
            f.get(to)
            f.get(row)
            f.mem('v128.store', i * stepBytes)
          })
          f.increment(to, lanes.count * stepBytes)
          f.increment(kLeft, -lanes.count)
        },
      )
    }
  }

  const gather = () => {
    for (let row = 0; row < width; row++) {
      assign(f, from, ['+', source, ['*', rowStride, ['min', row, ['-', rows, 1]]]])
      assign(f, to, ['+', destination, row * lanes.size])
      assign(f, end, ['+', to, ['*', k, stepBytes]])
      f.while(
        () => push(f, ['!=', to, end]),
        () => {
          copyElement(to, from)
          assign(f, from, ['+', from, kStride])
          f.increment(to, stepBytes)
        },
      )
    }
  }

  f.while(
    () => push(f, ['>', rows, 0]),
    () => {
      push(f, ['==', rowStride, elementBytes])
      f.if(copy, () => {
        push(f, ['==', kStride, elementBytes])
        f.if(transposeSquares, gather)
      })
      assign(f, source, ['+', source, ['*', rowStride, width]])
      assign(f, destination, ['+', destination, panel])
      f.increment(rows, -width)
    },
  )
  return f
}

/** A copy of a strided vector: `gatherVector(source, stride, destination, count)`, stride in bytes. */
export function emitGatherVector(m: ModuleBuilder, lanes: Lanes): FunctionRef {
  const f = m.function('gatherVector')
  const [source, stride, destination, count] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const end = define(f, ['+', destination, ['*', count, lanes.size]])
  f.while(
    () => push(f, ['!=', destination, end]),
    () => {
      f.get(destination)
      f.get(source)
      f.mem(lanes.loadScalar)
      f.mem(lanes.storeScalar)
      assign(f, source, ['+', source, stride])
      f.increment(destination, lanes.size)
    },
  )
  return f
}
