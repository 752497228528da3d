import type { FunctionRef, Local } from './function-builder.ts'
import { addBias, biasParams } from './gemm-kernel.ts'
import { type ByteOperands, interleaveHigh, interleaveLow, loadPairs } from './gemm-pack-bytes.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import { multiplyAdd, transpose } from './lanes.ts'
import type { ProductModule } from './product-module.ts'

/** Pairs of rows of B that stream by at a time, and columns that are looked at together. */
const PAIRS = 4
const COLUMNS = 8

/** Emits `rowTimesRows`, see gemv.ts, for bytes. */
export function emitByteRowTimesRows({ m, lanes, storeLanes }: ProductModule, withBias: boolean, bytes: ByteOperands): FunctionRef {
  const f = m.function('rowTimesRows')
  const [x, xStride, b, bRow] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const [c, n, k, accumulate] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const bias = biasParams(f, withBias)
  const factors = f.locals('v128', PAIRS)
  const rows = f.locals('i32', 2 * PAIRS)
  const sums = f.locals('v128', COLUMNS / lanes.count) as [Local<'v128'>, Local<'v128'>]
  const [upper, lower] = f.locals('v128', 2)
  const [second, at, column, whole] = f.locals('i32', 4)
  const load8 = bytes.a === 'uint8' ? 'i32.load8_u' : 'i32.load8_s'

  /** Two elements of x in each lane, and the rows that they are factors of; the second one is zero behind the last. */
  const loadPair = (pair: number) => {
    const hasSecond: I32 = ['>', k, 2 * pair + 1]
    assign(f, second, ['+', x, ['*', xStride, hasSecond]])
    f.get(x)
    f.mem(load8)
    f.i32(0xffff)
    f.op('i32.and')
    f.get(second)
    f.mem(load8)
    f.i32(16)
    f.op('i32.shl')
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
    for (const [v, sum] of sums.entries()) {
      f.get(at)
      f.mem('v128.load', 16 * v)
      f.set(sum)
    }
    for (let pair = 0; pair < pairs; pair++) {
      for (const [row, vector] of [
        [rows[2 * pair]!, upper],
        [rows[2 * pair + 1]!, lower],
      ] as const) {
        f.get(row)
        f.mem(loadPairs(bytes.b), 0, { align: 0 })
        f.set(vector)
      }
      for (const [v, sum] of sums.entries()) {
        multiplyAdd(
          f,
          lanes,
          sum,
          () => {
            f.get(upper)
            f.get(lower)
            f.shuffle(v === 0 ? interleaveLow : interleaveHigh)
          },
          () => f.get(factors[pair]!),
        )
      }
    }
  }

  f.get(accumulate)
  f.op('i32.eqz')
  f.if(() => {
    f.get(c)
    f.i32(0)
    push(f, ['*', n, lanes.size])
    f.memoryFill()
  })
  assign(f, whole, ['&', n, -COLUMNS])
  for (const pairs of [PAIRS, 1]) {
    f.while(
      () => push(f, ['>=', k, pairs === 1 ? 1 : 2 * pairs]),
      () => {
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
        push(f, ['<', whole, n])
        f.if(() => {
          addPairs(pairs)
          for (const [v, sum] of sums.entries()) {
            push(f, ['+', at, 16 * v])
            f.get(sum)
            push(f, ['-', ['-', n, whole], v * lanes.count])
            f.call(storeLanes)
          }
        })
        f.increment(k, -2 * pairs)
      },
    )
  }
  if (bias) {
    assign(f, at, c)
    assign(f, column, 0)
    f.for(column, n, lanes.count, () => {
      f.get(at)
      f.mem('v128.load')
      f.set(upper)
      addBias(f, lanes, bias, column, [upper])
      f.get(at)
      f.get(upper)
      push(f, ['-', n, column])
      f.call(storeLanes)
      f.increment(at, 16)
    })
  }
  return f
}

/** Emits `rowTimesColumns`, see gemv.ts, for bytes: dot products, a vector of columns at a time. */
export function emitByteRowTimesColumns({ m, lanes, storeLanes }: ProductModule, withBias: boolean, bytes: ByteOperands): FunctionRef {
  const f = m.function('rowTimesColumns')
  const [x, b, bColumn, c] = [f.param('i32'), f.param('i32'), f.param('i32'), f.param('i32')]
  const [n, k, accumulate] = [f.param('i32'), f.param('i32'), f.param('i32')]
  const bias = biasParams(f, withBias)
  const sums = f.locals('v128', lanes.count)
  const temporaries = f.locals('v128', lanes.count)
  const columns = f.locals('i32', lanes.count)
  const [kLeft, xPointer] = f.locals('i32', 2)
  const column = define(f, 0)
  const unroll = 2
  const xs = f.locals('v128', unroll)
  const places = f.constantOf([0, 0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0])

  const dot = (vectors: number, least: I32, masked: boolean) => {
    f.while(
      () => push(f, ['>=', kLeft, least]),
      () => {
        for (let u = 0; u < vectors; u++) {
          f.get(xPointer)
          f.mem(loadPairs(bytes.a), 8 * u, { align: 0 })
          if (masked) {
            // What lies behind x counts as zero.
            f.get(places)
            f.get(kLeft)
            f.op('i16x8.splat')
            f.op('i16x8.lt_s')
            f.op('v128.and')
          }
          f.set(xs[u]!)
        }
        columns.forEach((pointer, j) => {
          for (let u = 0; u < vectors; u++) {
            multiplyAdd(
              f,
              lanes,
              sums[j]!,
              () => f.get(xs[u]!),
              () => {
                f.get(pointer)
                f.mem(loadPairs(bytes.b), 8 * u, { align: 0 })
              },
            )
          }
        })
        for (const pointer of [xPointer, ...columns]) f.increment(pointer, 8 * vectors)
        f.increment(kLeft, -8 * vectors)
      },
    )
  }

  f.while(
    () => push(f, ['>', n, 0]),
    () => {
      assign(f, columns[0]!, b)
      for (let j = 1; j < lanes.count; j++) assign(f, columns[j]!, ['+', columns[j - 1]!, ['*', bColumn, ['>', n, j]]])
      for (const sum of sums) {
        f.splat('i32x4', 0)
        f.set(sum)
      }
      assign(f, xPointer, x)
      assign(f, kLeft, k)
      dot(unroll, 8 * unroll, false)
      dot(1, 8, false)
      dot(1, 1, true)
      transpose(f, lanes, sums, temporaries)
      const [value, ...others] = sums as [Local<'v128'>, ...Local<'v128'>[]]
      f.get(value)
      for (const other of others) {
        f.get(other)
        f.op('i32x4.add')
      }
      f.set(value)
      f.get(accumulate)
      f.if(() => {
        f.get(value)
        f.get(c)
        f.mem('v128.load')
        f.op('i32x4.add')
        f.set(value)
      })
      if (bias) addBias(f, lanes, bias, column, [value])
      f.get(c)
      f.get(value)
      f.get(n)
      f.call(storeLanes)
      f.increment(c, 16)
      f.increment(column, lanes.count)
      f.increment(n, -lanes.count)
      assign(f, b, ['+', b, ['*', bColumn, lanes.count]])
    },
  )
  return f
}
