import type { FunctionBuilder, Local } from './function-builder.ts'
import { addBias, type Bias, biasParams } from './gemm-kernel.ts'
import { assign, define, type I32, loopWhile, push, when } from './i32-expression.ts'
import { addVector, assignVector, clearVectors, type Lanes, loaded, multiplyAdd } from './lanes.ts'
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
      assignVector(f, value, loaded(f, at))
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

  /** The next elements of x, and the rows that they are factors of. */
  const takeRows = (count: number) => {
    for (let i = 0; i < count; i++) {
      assignVector(f, factors[i]!, loaded(f, x, 0, lanes.loadSplat))
      assign(f, x, ['+', x, xStride])
      assign(f, rows[i]!, i === 0 ? b : ['+', rows[i - 1]!, bRow])
    }
    assign(f, b, ['+', rows[count - 1]!, bRow])
  }

  for (const count of [group, 1]) {
    loopWhile(f, ['>=', k, count], () => {
      takeRows(count)
      updateRow(rows.slice(0, count), () => {
        for (let i = 0; i < count; i++) multiplyAdd(f, lanes, value, factors[i]!, loaded(f, rows[i]!))
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
    when(f, accumulate, () => addVector(f, lanes, value, loaded(f, c)))
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

/** Vectors of x that are multiplied together, each with sums of its own. */
const UNROLL = 2

/** Emits `RowTimesColumns` for elements of the lanes' type. */
export function emitRowTimesColumns(module: ProductModule, withBias: boolean): RowTimesColumns {
  const { lanes } = module
  return emitDotProducts(module, withBias, (f, { x, columns, k }) => {
    const sums = columns.map(() => f.locals('v128', UNROLL))
    const xVectors = f.locals('v128', UNROLL)
    const [value, gathered] = xVectors as [Local<'v128'>, Local<'v128'>]

    const addVectors = (vectors: number) => {
      loopWhile(f, ['>=', k, vectors * lanes.count], () => {
        for (let u = 0; u < vectors; u++) assignVector(f, xVectors[u]!, loaded(f, x, 16 * u))
        columns.forEach((pointer, j) => {
          for (let u = 0; u < vectors; u++) multiplyAdd(f, lanes, sums[j]![u]!, xVectors[u]!, loaded(f, pointer, 16 * u))
        })
        for (const pointer of [x, ...columns]) f.increment(pointer, 16 * vectors)
        f.increment(k, -vectors * lanes.count)
      })
    }

    /** What is left of x, less than a vector. */
    const addSingles = () => {
      loopWhile(f, ['>', k, 0], () => {
        columns.forEach((pointer, j) => {
          f.get(pointer)
          f.get(gathered)
          f.memLane(lanes.loadLane, j)
          f.set(gathered)
          f.increment(pointer, lanes.size)
        })
        multiplyAdd(f, lanes, value, gathered, loaded(f, x, 0, lanes.loadSplat))
        f.increment(x, lanes.size)
        f.increment(k, -1)
      })
    }

    const dot = () => {
      clearVectors(f, lanes, sums.flat())
      addVectors(UNROLL)
      addVectors(1)
      for (const [first, second] of sums) addVector(f, lanes, first!, second!)
      sumLanes(
        f,
        lanes,
        sums.map(([first]) => first!),
        value,
      )
      addSingles()
    }
    return { value, dot }
  })
}

type Order = readonly [number, number, number, number]
const halves: readonly [Order, Order] = [
  [0, 1, 4, 5],
  [2, 3, 6, 7],
]
const evenOdd: readonly [Order, Order] = [
  [0, 2, 4, 6],
  [1, 3, 5, 7],
]

/** Leaves the sum over the lanes of each of `lanes.count` vectors in `value`, one vector a lane. The vectors are used up. */
function sumLanes(f: FunctionBuilder, { count, add }: Lanes, vectors: readonly Local<'v128'>[], value: Local<'v128'>): void {
  const addPairs = (p: Local<'v128'>, q: Local<'v128'>, to: Local<'v128'>, orders: readonly [Order, Order]) => {
    for (const order of orders) {
      f.get(p)
      f.get(q)
      f.shuffle32(...order)
    }
    f.op(add)
    f.set(to)
  }
  const [a, b, c, d] = vectors as [Local<'v128'>, Local<'v128'>, Local<'v128'>, Local<'v128'>]
  if (count === 2) return addPairs(a, b, value, halves)
  addPairs(a, b, a, evenOdd)
  addPairs(c, d, c, evenOdd)
  addPairs(a, c, value, evenOdd)
}
