import type { ModuleBuilder } from './assembler.ts'
import type { FunctionRef } from './function-builder.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { type Lanes, transpose } from './lanes.ts'

/** Dtypes that are multiplied as 16-bit numbers, two at a time: `i32x4.dot_i16x8_s` adds their products up without rounding or saturating. */
export type ByteType = 'int8' | 'uint8'

/** Dtypes of both operands of a product of bytes. */
export interface ByteOperands {
  readonly a: ByteType
  readonly b: ByteType
}

/** Steps of k of a product of bytes: pairs of neighbours, the last one filled up. */
export const pairsOf = (k: number): number => Math.ceil(k / 2)

/** `pairsOf` as code. */
export const pairsCode = (k: I32): I32 => ['/', ['+', k, 1], 2]

/** Loads eight bytes as 16-bit numbers: four pairs. */
export const loadPairs = (dtype: ByteType) => (dtype === 'uint8' ? 'v128.load8x8_u' : 'v128.load8x8_s')

/** The shuffles that make pairs of two vectors of 16-bit numbers. */
export const interleaveLow = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]
export const interleaveHigh = interleaveLow.map((byte) => byte + 8)

/**
 * Emits `pack(source, rowStride, kStride, destination, panelBytes, rows, k)`: what `emitPack` does, for bytes. The elements of its panels
 * are pairs of 16-bit numbers, neighbours in k; where k is odd, the last one's partner is zero. Strides in bytes, which are elements; `k`
 * counts bytes, `panelBytes` is that of half as many elements.
 */
export function emitPackBytes(m: ModuleBuilder, lanes: Lanes, width: number, dtype: ByteType): FunctionRef {
  const f = m.function(`pack${width}${dtype}`)
  const [source, rowStride, kStride, destination] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const [panel, rows, k] = [f.param('i32'), f.param('i32'), f.param('i32')]
  const [from, second, to, left] = f.locals('i32', 4)
  const stepBytes = width * lanes.size
  const vectors = width / lanes.count
  const load8 = dtype === 'uint8' ? 'i32.load8_u' : 'i32.load8_s'

  const eachPair = (body: () => void) => {
    assign(f, left, k)
    f.while(
      () => push(f, ['>', left, 0]),
      () => {
        // What pairs with the last one of an odd number is cut away below; it is read where there is something.
        assign(f, second, ['+', from, ['*', kStride, ['>', left, 1]]])
        body()
        assign(f, from, ['+', second, kStride])
        f.increment(to, stepBytes)
        f.increment(left, -2)
      },
    )
  }

  const [first, other] = f.locals('v128', 2)
  /** Rows are neighbours in memory: interleave two steps of k. */
  const interleave = () => {
    assign(f, from, source)
    assign(f, to, destination)
    eachPair(() => {
      for (const [pointer, vector] of [
        [from, first],
        [second, other],
      ] as const) {
        f.get(pointer)
        f.mem(loadPairs(dtype), 0, { align: 0 })
        f.set(vector)
      }
      for (let v = 0; v < vectors; v++) {
        f.get(to)
        f.get(first)
        f.get(other)
        f.shuffle(v === 0 ? interleaveLow : interleaveHigh)
        f.mem('v128.store', 16 * v)
      }
    })
  }

  const pointers = f.locals('i32', lanes.count)
  const square = f.locals('v128', lanes.count)
  const temporaries = f.locals('v128', lanes.count)
  /** k is contiguous in memory, pairs lie as they are wanted: transpose squares of them. */
  const transposeSquares = () => {
    for (let group = 0; group < vectors; group++) {
      pointers.forEach((pointer, i) =>
        assign(f, pointer, ['+', source, ['*', rowStride, ['min', group * lanes.count + i, ['-', rows, 1]]]]),
      )
      assign(f, to, ['+', destination, group * 16])
      assign(f, left, k)
      f.while(
        () => push(f, ['>', left, 0]),
        () => {
          pointers.forEach((pointer, i) => {
            f.get(pointer)
            f.mem(loadPairs(dtype), 0, { align: 0 })
            f.set(square[i]!)
            f.increment(pointer, 8)
          })
          transpose(f, lanes, square, temporaries)
          square.forEach((row, i) => {
            f.get(to)
            f.get(row)
            f.mem('v128.store', i * stepBytes)
          })
          f.increment(to, lanes.count * stepBytes)
          f.increment(left, -8)
        },
      )
    }
  }

  const gather = () => {
    for (let row = 0; row < width; row++) {
      assign(f, from, ['+', source, ['*', rowStride, ['min', row, ['-', rows, 1]]]])
      assign(f, to, ['+', destination, row * lanes.size])
      eachPair(() => {
        f.get(to)
        f.get(from)
        f.mem(load8)
        f.i32(0xffff)
        f.op('i32.and')
        f.get(second)
        f.mem(load8)
        f.i32(16)
        f.op('i32.shl')
        f.op('i32.or')
        f.mem('i32.store')
      })
    }
  }

  f.while(
    () => push(f, ['>', rows, 0]),
    () => {
      push(f, ['==', rowStride, 1])
      f.if(interleave, () => {
        push(f, ['==', kStride, 1])
        f.if(transposeSquares, gather)
      })
      push(f, ['&', k, 1])
      f.if(() => {
        const last = define(f, ['+', destination, ['*', ['/', k, 2], stepBytes]])
        for (let v = 0; v < vectors; v++) {
          f.get(last)
          f.get(last)
          f.mem('v128.load', 16 * v)
          f.get(f.constant('i32x4', 0xffff))
          f.op('v128.and')
          f.mem('v128.store', 16 * v)
        }
        f.release(last)
      })
      assign(f, source, ['+', source, ['*', rowStride, width]])
      assign(f, destination, ['+', destination, panel])
      f.increment(rows, -width)
    },
  )
  return f
}
