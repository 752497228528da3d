import type { Operand } from '../routine.ts'
import { combineScalars, combineVectors, type CombineMode } from './combine.ts'
import type { Local } from './function-builder.ts'
import { assign, define, loopWhile, when } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import { type RoutinePlan, roundUp } from './matmul-plan.ts'
import { indices, type RecipeRule } from './routine-code.ts'
import { ArgumentWords, moveToBatch, routineModule } from './routine-entry.ts'
import { emitStoreLanes } from './store-lanes.ts'

/** Strides in bytes. The batch axes follow: size and the strides of y, index and source. */
const words = new ArgumentWords([
  'y',
  'index',
  'source',
  'count',
  'yStep',
  'indexStep',
  'sourceStep',
  'row',
  'columnBlock',
  'columnBlocks',
  'batchRank',
])

/**
 * Emits the module that combines rows of a source into rows of y which an index names. A task is a block of columns of one
 * batch position, and walks all its rows in order, so no two tasks touch one element.
 */
function emitScatter({ type, mode, shared }: { type: LaneType; mode: CombineMode; shared: boolean }): Uint8Array<ArrayBuffer> {
  const { m, lanes, f, begin, end, args } = routineModule(type, shared)
  const storeLanes = emitStoreLanes(m, lanes)
  const word = words.from(args)
  const [count, row, yStep, indexStep, sourceStep] = words.define(f, args, ['count', 'row', 'yStep', 'indexStep', 'sourceStep'])
  const [columnBlock, columnBlocks] = words.define(f, args, ['columnBlock', 'columnBlocks'])
  const [y, index, source] = f.locals('i32', 3)
  const [task, batch] = [define(f, begin), f.local('i32')]
  const [left, columns, columnsLeft, to, from] = f.locals('i32', 5)
  const [a, b] = [f.local('v128'), f.local('v128')]
  const [u, v] = [f.local(lanes.scalar), f.local(lanes.scalar)]

  const nextTarget = () => assign(f, to, ['+', y, ['*', ['load', index, 0], yStep]])
  const eachRow = (body: () => void) => {
    assign(f, left, count)
    loopWhile(f, left, () => {
      nextTarget()
      body()
      assign(f, index, ['+', index, indexStep])
      assign(f, source, ['+', source, sourceStep])
      f.increment(left, -1)
    })
  }
  const pushCombined = (offset: number) => {
    if (mode !== 'set') load(to, a, offset)
    load(from, b, offset)
    combineVectors(f, lanes, mode, a, b)
  }
  const load = (pointer: Local<'i32'>, value: Local<'v128'>, offset: number) => {
    f.get(pointer)
    f.mem('v128.load', offset)
    f.set(value)
  }
  const vectors = (n: number) => {
    loopWhile(f, ['>=', columnsLeft, n * lanes.count], () => {
      for (let i = 0; i < n; i++) {
        f.get(to)
        pushCombined(16 * i)
        f.mem('v128.store', 16 * i)
      }
      f.increment(to, 16 * n)
      f.increment(from, 16 * n)
      f.increment(columnsLeft, -n * lanes.count)
    })
  }

  f.for(task, end, 1, () => {
    assign(f, columns, ['*', ['%', task, columnBlocks], columnBlock])
    assign(f, batch, ['/', task, columnBlocks])
    assign(f, y, ['+', word('y'), ['*', columns, lanes.size]])
    assign(f, index, word('index'))
    assign(f, source, ['+', word('source'), ['*', columns, lanes.size]])
    assign(f, columns, ['min', ['-', row, columns], columnBlock])
    moveToBatch(f, { first: ['+', args, 4 * words.count], rank: word('batchRank') }, batch, [y, index, source])
    when(
      f,
      ['==', row, 1],
      () =>
        eachRow(() => {
          f.get(to)
          f.get(to)
          f.mem(lanes.loadScalar)
          f.set(u)
          f.get(source)
          f.mem(lanes.loadScalar)
          f.set(v)
          combineScalars(f, lanes, mode, u, v)
          f.mem(lanes.storeScalar)
        }),
      () =>
        eachRow(() => {
          assign(f, from, source)
          assign(f, columnsLeft, columns)
          vectors(4)
          vectors(1)
          when(f, ['>', columnsLeft, 0], () => {
            f.get(to)
            pushCombined(0)
            f.get(columnsLeft)
            f.call(storeLanes)
          })
        }),
    )
  })
  return m.toBytes()
}

interface ScatterProblem {
  axis: number
  index: Operand
  source: Operand
  y: Operand
  type: LaneType
  threads: number
}

interface ScatterAxis {
  size: number
  y: number
  index: number
  source: number
}

/**
 * Index and source of any strides into dense y, which holds the base already. The last axes on which the index does not
 * change and the others are contiguous make up the rows. Pointers: index, source, y.
 */
function planScatter({ axis, index, source, y, type, threads }: ScatterProblem): RoutinePlan {
  const { size, count } = lanesOf(type, false)
  const axes = index.shape.map((n, d): ScatterAxis => ({ size: n, y: y.strides[d]!, index: index.strides[d]!, source: source.strides[d]! }))
  const along = axes[axis]!
  let row = 1
  let rowAxes = axes.length
  while (rowAxes - 1 > axis) {
    const last = axes[rowAxes - 1]!
    if (last.size !== 1 && (last.index !== 0 || last.y !== row || last.source !== row)) break
    row *= last.size
    rowAxes--
  }
  const batch = axes.filter(({ size: n }, d) => d !== axis && d < rowAxes && n !== 1)
  const batches = batch.reduce((product, { size: n }) => product * n, 1)
  // A cache line of columns at least, so that threads do not write into each other's.
  const columnBlock = Math.max(1, Math.min(row, roundUp(Math.ceil((row * batches) / threads), 64 / size)))
  const columnBlocks = Math.ceil(row / columnBlock)
  return {
    words: words.withValues(
      {
        count: along.size,
        row,
        columnBlock,
        columnBlocks,
        batchRank: batch.length,
        yStep: along.y * size,
        indexStep: along.index * 4,
        sourceStep: along.source * size,
      },
      batch.flatMap((b) => [b.size, b.y * size, b.index * 4, b.source * size]),
    ),
    pointers: [words.at('index'), words.at('source'), words.at('y')],
    tasks: batches * columnBlocks,
    scratchBytes: 0,
    work: batches * along.size * (row === 1 ? 8 : 8 + (4 * row) / count),
  }
}

export const scatterRecipe: RecipeRule<'scatter'> = ({ attrs: { axis, mode }, inputs: [, index] }, type, demand) => {
  // Rows of the source that go to one place have to be contiguous.
  const byRows = index!.shape.at(-1)! > 1 && index!.strides.at(-1) === 0 && axis < index!.shape.length - 1
  return {
    demands: ['output', indices, demand(byRows ? 'dense' : 'any')],
    results: [type],
    job: ([at, source], [y], threads) => ({
      plan: planScatter({ axis, index: at!, source: source!, y: y!, type, threads }),
      module: { key: `scatter ${mode} ${type}`, emit: ({ shared }) => emitScatter({ type, mode, shared }) },
    }),
  }
}
