import type { FunctionBuilder, Local } from './function-builder.ts'
import { addBias, type Bias, biasParams } from './gemm-kernel.ts'
import { assign, define, type I32, loopWhile, push, when } from './i32-expression.ts'
import { multiplyAdd } from './lanes.ts'
import { NamedFunction } from './named-function.ts'
import type { ProductModule } from './product-module.ts'

/** c = x B for a B whose rows are contiguous. */
export type RowTimesRows = NamedFunction<'x' | 'xStride' | 'b' | 'bRow' | 'c' | 'n' | 'k' | 'accumulate', keyof Bias>

export const rowTimesRows = ({ m }: ProductModule, withBias: boolean): RowTimesRows =>
  new NamedFunction(m, 'rowTimesRows', ['x', 'xStride', 'b', 'bRow', 'c', 'n', 'k', 'accumulate', ...biasParams(withBias)])

/** Emits `RowTimesRows` for elements of the lanes' type. Four rows of B stream by at a time while c stays in the cache. */
export function emitRowTimesRows(module: ProductModule, withBias: boolean): RowTimesRows {
  const { lanes, storeLanes } = module
  const made = rowTimesRows(module, withBias)
  const { f, params } = made
  const { x, xStride, b, bRow, c, n, k, accumulate } = params
  const group = 4
  const factors = f.locals('v128', group)
  const rows = f.locals('i32', group)
  const [column, wholeEnd, at] = f.locals('i32', 3)
  const value = f.local('v128')

  clearUnless(f, accumulate, c, ['*', n, lanes.size])
  assign(f, wholeEnd, ['&', n, -lanes.count])

  /** `body` sees `value` = c at `column` and changes it. */
  const updateRow = (advance: readonly Local<'i32'>[], body: () => void) => {
    const load = () => {
      f.get(at)
      f.mem('v128.load')
      f.set(value)
      body()
      f.get(at)
      f.get(value)
    }
    assign(f, column, 0)
    assign(f, at, c)
    f.for(column, wholeEnd, lanes.count, () => {
      load()
      f.mem('v128.store')
      for (const pointer of [at, ...advance]) f.increment(pointer, 16)
    })
    when(f, ['<', wholeEnd, n], () => {
      load()
      push(f, ['-', n, wholeEnd])
      f.call(storeLanes)
    })
  }

  for (const count of [group, 1]) {
    loopWhile(f, ['>=', k, count], () => {
      for (let i = 0; i < count; i++) {
        f.get(x)
        f.mem(lanes.loadSplat)
        f.set(factors[i]!)
        assign(f, x, ['+', x, xStride])
        assign(f, rows[i]!, i === 0 ? b : ['+', rows[i - 1]!, bRow])
      }
      assign(f, b, ['+', rows[count - 1]!, bRow])
      updateRow(rows.slice(0, count), () => {
        for (let i = 0; i < count; i++) {
          multiplyAdd(
            f,
            lanes,
            value,
            () => f.get(factors[i]!),
            () => {
              f.get(rows[i]!)
              f.mem('v128.load')
            },
          )
        }
      })
      f.increment(k, -count)
    })
  }
  if (withBias) updateRow([], () => addBias(f, lanes, params, column, [value]))
  return made
}

/** Sets memory to zero where C does not hold earlier sums. */
export function clearUnless(f: FunctionBuilder, accumulate: Local<'i32'>, c: Local<'i32'>, bytes: I32): void {
  f.get(accumulate)
  f.op('i32.eqz')
  f.if(() => {
    f.get(c)
    f.i32(0)
    push(f, bytes)
    f.memoryFill()
  })
}

/** What the dot products of a vector of columns walk over: both are to be moved on. */
interface DotPlace {
  readonly x: Local<'i32'>
  readonly columns: readonly Local<'i32'>[]
  /** Elements that are left. */
  readonly k: Local<'i32'>
}

/** c = x B for a B whose columns are contiguous and a contiguous x. */
export type RowTimesColumns = NamedFunction<'x' | 'b' | 'bColumn' | 'c' | 'n' | 'k' | 'accumulate', keyof Bias>

/**
 * Emits `RowTimesColumns` as dot products, a vector of columns at a time. `dotOf` gives the code that leaves them in `value`, one
 * column a lane.
 */
export function emitDotProducts(
  { m, lanes, storeLanes }: ProductModule,
  withBias: boolean,
  dotOf: (f: FunctionBuilder, place: DotPlace) => { readonly value: Local<'v128'>; readonly dot: () => void },
): RowTimesColumns {
  const names = ['x', 'b', 'bColumn', 'c', 'n', 'k', 'accumulate'] as const
  const made: RowTimesColumns = new NamedFunction(m, 'rowTimesColumns', [...names, ...biasParams(withBias)])
  const { f, params } = made
  const { x, b, bColumn, c, n, k, accumulate } = params
  const columns = f.locals('i32', lanes.count)
  const [xPointer, kLeft] = f.locals('i32', 2)
  const column = define(f, 0)
  const { value, dot } = dotOf(f, { x: xPointer!, columns, k: kLeft! })
  loopWhile(f, ['>', n, 0], () => {
    assign(f, columns[0]!, b)
    for (let j = 1; j < lanes.count; j++) assign(f, columns[j]!, ['+', columns[j - 1]!, ['*', bColumn, ['>', n, j]]])
    assign(f, xPointer!, x)
    assign(f, kLeft!, k)
    dot()
    when(f, accumulate, () => {
      f.get(value)
      f.get(c)
      f.mem('v128.load')
      f.op(lanes.add)
      f.set(value)
    })
    if (withBias) addBias(f, lanes, params, column, [value])
    f.get(c)
    f.get(value)
    f.get(n)
    f.call(storeLanes)
    f.increment(c, 16)
    f.increment(column, lanes.count)
    f.increment(n, -lanes.count)
    assign(f, b, ['+', b, ['*', bColumn, lanes.count]])
  })
  return made
}

/** Emits `RowTimesColumns` for elements of the lanes' type. */
export function emitRowTimesColumns(module: ProductModule, withBias: boolean): RowTimesColumns {
  const { lanes } = module
  return emitDotProducts(module, withBias, (f, { x, columns, k }) => {
    const unroll = 2
    const sums = columns.map(() => f.locals('v128', unroll))
    const xVectors = f.locals('v128', unroll)
    const value = xVectors[0]!
    const gathered = xVectors[1]!

    const dot = (vectors: number) => {
      loopWhile(f, ['>=', k, vectors * lanes.count], () => {
        for (let u = 0; u < vectors; u++) {
          f.get(x)
          f.mem('v128.load', 16 * u)
          f.set(xVectors[u]!)
        }
        columns.forEach((pointer, j) => {
          for (let u = 0; u < vectors; u++) {
            multiplyAdd(
              f,
              lanes,
              sums[j]![u]!,
              () => f.get(xVectors[u]!),
              () => {
                f.get(pointer)
                f.mem('v128.load', 16 * u)
              },
            )
          }
        })
        for (const pointer of [x, ...columns]) f.increment(pointer, 16 * vectors)
        f.increment(k, -vectors * lanes.count)
      })
    }

    /** Leaves the sum over each vector's lanes in `value`, one column a lane. */
    const sumLanes = () => {
      const folded = sums.map(([first, second]) => {
        f.get(first!)
        f.get(second!)
        f.op(lanes.add)
        f.set(first!)
        return first!
      })
      const addShuffled = (
        p: Local<'v128'>,
        q: Local<'v128'>,
        to: Local<'v128'>,
        [a, b2]: readonly (readonly [number, number, number, number])[],
      ) => {
        f.get(p)
        f.get(q)
        f.shuffle32(...a!)
        f.get(p)
        f.get(q)
        f.shuffle32(...b2!)
        f.op(lanes.add)
        f.set(to)
      }
      const halves = [
        [0, 1, 4, 5],
        [2, 3, 6, 7],
      ] as const
      if (lanes.count === 2) {
        addShuffled(folded[0]!, folded[1]!, value, halves)
        return
      }
      const evenOdd = [
        [0, 2, 4, 6],
        [1, 3, 5, 7],
      ] as const
      addShuffled(folded[0]!, folded[1]!, folded[0]!, evenOdd)
      addShuffled(folded[2]!, folded[3]!, folded[2]!, evenOdd)
      addShuffled(folded[0]!, folded[2]!, value, evenOdd)
    }

    const all = () => {
      for (const sum of sums.flat()) {
        f.splat(lanes.shape, 0)
        f.set(sum)
      }
      dot(unroll)
      dot(1)
      sumLanes()
      loopWhile(f, ['>', k, 0], () => {
        columns.forEach((pointer, j) => {
          f.get(pointer)
          f.get(gathered)
          f.memLane(lanes.loadLane, j)
          f.set(gathered)
          f.increment(pointer, lanes.size)
        })
        multiplyAdd(
          f,
          lanes,
          value,
          () => f.get(gathered),
          () => {
            f.get(x)
            f.mem(lanes.loadSplat)
          },
        )
        f.increment(x, lanes.size)
        f.increment(k, -1)
      })
    }
    return { value, dot: all }
  })
}
