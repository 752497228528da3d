import type { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { emitPanels, type Pack } from './gemm-pack.ts'
import { assign, define, type I32, loopWhile, when } from './i32-expression.ts'
import { assignVector, type Lanes, pushVector, type Vector } from './lanes.ts'

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

/** The eight bytes in memory, `offset` bytes behind an address, as 16-bit numbers: four pairs. */
export const loadedPairs =
  (f: FunctionBuilder, dtype: ByteType, address: Local<'i32'>, offset = 0): Vector =>
  () => {
    f.get(address)
    f.mem(dtype === 'uint8' ? 'v128.load8x8_u' : 'v128.load8x8_s', offset, { align: 0 })
  }

/** The shuffles that make pairs of two vectors of 16-bit numbers. */
export const interleaveLow = [0, 1, 16, 17, 2, 3, 18, 19, 4, 5, 20, 21, 6, 7, 22, 23]
export const interleaveHigh = interleaveLow.map((byte) => byte + 8)

/** Pushes the two bytes at `first` and `second` as a pair. */
export function pushPair(f: FunctionBuilder, dtype: ByteType, first: Local<'i32'>, second: Local<'i32'>): void {
  const load8 = dtype === 'uint8' ? 'i32.load8_u' : 'i32.load8_s'
  f.get(first)
  f.mem(load8)
  f.i32(0xffff)
  f.op('i32.and')
  f.get(second)
  f.mem(load8)
  f.i32(16)
  f.op('i32.shl')
}

/**
 * Emits `Pack`, see `emitPanels`, for bytes. The elements of its panels are pairs of 16-bit numbers, neighbours in k; where k is odd, the
 * last one's partner is zero. `k` counts bytes, `panel` is that of half as many elements.
 */
export function emitPackBytes(m: ModuleBuilder, lanes: Lanes, width: number, dtype: ByteType): Pack {
  const stepBytes = width * lanes.size
  const vectors = width / lanes.count
  return emitPanels(m, lanes, width, { name: dtype, elementBytes: 1, perVector: 8 }, (f, { kStride, destination, k, from, to }) => {
    const [second, left] = f.locals('i32', 2)
    const [first, other] = f.locals('v128', 2)

    const eachPair = (body: () => void) => {
      assign(f, left, k)
      loopWhile(f, ['>', left, 0], () => {
        // What pairs with the last one of an odd number is cut away below; it is read where there is something.
        assign(f, second, ['+', from, ['*', kStride, ['>', left, 1]]])
        body()
        assign(f, from, ['+', second, kStride])
        f.increment(to, stepBytes)
        f.increment(left, -2)
      })
    }

    return {
      load: (pointer) => pushVector(f, loadedPairs(f, dtype, pointer)),
      copy: () =>
        eachPair(() => {
          assignVector(f, first, loadedPairs(f, dtype, from))
          assignVector(f, other, loadedPairs(f, dtype, second))
          for (let v = 0; v < vectors; v++) {
            f.get(to)
            f.get(first)
            f.get(other)
            f.shuffle(v === 0 ? interleaveLow : interleaveHigh)
            f.mem('v128.store', 16 * v)
          }
        }),
      gather: () =>
        eachPair(() => {
          f.get(to)
          pushPair(f, dtype, from, second)
          f.op('i32.or')
          f.mem('i32.store')
        }),
      finish() {
        when(f, ['&', k, 1], () => {
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
      },
    }
  })
}
