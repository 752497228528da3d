import type { Local } from './function-builder.ts'
import { addBias } from './gemm-kernel.ts'
import { type ByteOperands, interleaveHigh, interleaveLow, loadedPairs, pushPair } from './gemm-pack-bytes.ts'
import { clearUnless, emitDotProducts, type RowTimesColumns, type RowTimesRows, rowTimesRows } from './gemv.ts'
import { assign, type I32, loopWhile, push, when } from './i32-expression.ts'
import { assignVector, clearVectors, loaded, multiplyAdd, pushVector, transpose } from './lanes.ts'
import type { ProductModule } from './product-module.ts'

/** Pairs of rows of B that stream by at a time, and columns that are looked at together. */
const PAIRS = 4
const COLUMNS = 8

/** Emits `RowTimesRows` for bytes. */
export function emitByteRowTimesRows(module: ProductModule, withBias: boolean, bytes: ByteOperands): RowTimesRows {
  const { lanes, storeLanes } = module
  const made = rowTimesRows(module, withBias)
  const { f, params } = made
  const { x, xStride, b, bRow, c, n, k, accumulate } = params
  const factors = f.locals('v128', PAIRS)
  const rows = f.locals('i32', 2 * PAIRS)
  const sums = f.locals('v128', COLUMNS / lanes.count) as [Local<'v128'>, Local<'v128'>]
  const [upper, lower] = f.locals('v128', 2)
  const [second, at, column, whole] = f.locals('i32', 4)

  /** Two elements of x in each lane, and the rows that they are factors of; the second one is zero behind the last. */
  const loadPair = (pair: number) => {
    const hasSecond: I32 = ['>', k, 2 * pair + 1]
    assign(f, second, ['+', x, ['*', xStride, hasSecond]])
    pushPair(f, bytes.a, x, second)
    push(f, ['-', 0, hasSecond])
    f.op('i32.and')
    f.op('i32.or')
    f.op('i32x4.splat')
    f.set(factors[pair]!)
    assign(f, x, ['+', second, xStride])
    assign(f, rows[2 * pair]!, b)
    assign(f, rows[2 * pair + 1]!, ['+', b, ['*', bRow, hasSecond]])
    assign(f, b, ['+', rows[2 * pair + 1]!, bRow])
  }

  const addPairs = (pairs: number) => {
    for (const [v, sum] of sums.entries()) assignVector(f, sum, loaded(f, at, 16 * v))
    for (let pair = 0; pair < pairs; pair++) {
      assignVector(f, upper, loadedPairs(f, bytes.b, rows[2 * pair]!))
      assignVector(f, lower, loadedPairs(f, bytes.b, rows[2 * pair + 1]!))
      for (const [v, sum] of sums.entries()) {
        const interleaved = () => {
          f.get(upper)
          f.get(lower)
          f.shuffle(v === 0 ? interleaveLow : interleaveHigh)
        }
        multiplyAdd(f, lanes, sum, interleaved, factors[pair]!)
      }
    }
  }

  clearUnless(f, accumulate, c, ['*', n, lanes.size])
  assign(f, whole, ['&', n, -COLUMNS])
  for (const pairs of [PAIRS, 1]) {
    loopWhile(f, ['>=', k, pairs === 1 ? 1 : 2 * pairs], () => {
      for (let pair = 0; pair < pairs; pair++) loadPair(pair)
      assign(f, at, c)
      assign(f, column, 0)
      f.for(column, whole, COLUMNS, () => {
        addPairs(pairs)
        for (const [v, sum] of sums.entries()) {
          f.get(at)
          f.get(sum)
          f.mem('v128.store', 16 * v)
        }
        f.increment(at, COLUMNS * lanes.size)
        for (const row of rows.slice(0, 2 * pairs)) f.increment(row, COLUMNS)
      })
      when(f, ['<', whole, n], () => {
        addPairs(pairs)
        for (const [v, sum] of sums.entries()) {
          push(f, ['+', at, 16 * v])
          f.get(sum)
          push(f, ['-', ['-', n, whole], v * lanes.count])
          f.call(storeLanes)
        }
      })
      f.increment(k, -2 * pairs)
    })
  }
  if (withBias) {
    assign(f, at, c)
    assign(f, column, 0)
    f.for(column, n, lanes.count, () => {
      assignVector(f, upper, loaded(f, at))
      addBias(f, lanes, params, column, [upper])
      f.get(at)
      f.get(upper)
      push(f, ['-', n, column])
      f.call(storeLanes)
      f.increment(at, 16)
    })
  }
  return made
}

/** Emits `RowTimesColumns` for bytes. */
export function emitByteRowTimesColumns(module: ProductModule, withBias: boolean, bytes: ByteOperands): RowTimesColumns {
  const { lanes } = module
  return emitDotProducts(module, withBias, (f, { x, columns, k }) => {
    const unroll = 2
    const sums = f.locals('v128', lanes.count)
    const temporaries = f.locals('v128', lanes.count)
    const xs = f.locals('v128', unroll)
    const places = f.constantOf([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0])

    /** Pushes which of the eight elements from x on there are. */
    const pushInside = () => {
      f.get(places)
      f.get(k)
      f.op('i16x8.splat')
      f.op('i16x8.lt_s')
    }

    /** While there are `least` elements at least. */
    const addVectors = (vectors: number, least: number) => {
      loopWhile(f, ['>=', k, least], () => {
        for (let u = 0; u < vectors; u++) {
          assignVector(f, xs[u]!, () => {
            pushVector(f, loadedPairs(f, bytes.a, x, 8 * u))
            // What lies behind x counts as zero.
            if (least < 8) {
              pushInside()
              f.op('v128.and')
            }
          })
        }
        columns.forEach((pointer, j) => {
          for (let u = 0; u < vectors; u++) multiplyAdd(f, lanes, sums[j]!, xs[u]!, loadedPairs(f, bytes.b, pointer, 8 * u))
        })
        for (const pointer of [x, ...columns]) f.increment(pointer, 8 * vectors)
        f.increment(k, -8 * vectors)
      })
    }

    const [value, ...others] = sums as [Local<'v128'>, ...Local<'v128'>[]]
    const dot = () => {
      clearVectors(f, lanes, sums)
      addVectors(unroll, 8 * unroll)
      addVectors(1, 8)
      addVectors(1, 1)
      transpose(f, lanes, sums, temporaries)
      f.get(value)
      for (const other of others) {
        f.get(other)
        f.op(lanes.add)
      }
      f.set(value)
    }
    return { value, dot }
  })
}
