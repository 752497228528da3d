import type { Operand } from '../routine.ts'
import { combineScalars, combineVectors, type CombineMode } from './combine.ts'
import { assign, define, loopWhile, when } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { RecipeRule } from './routine-code.ts'
import { ArgumentWords, routineModule } from './routine-entry.ts'
import { emitStoreLanes } from './store-lanes.ts'

const words = new ArgumentWords(['x', 'y', 'length', 'inner', 'blocks', 'start', 'step', 'lineBytes'])

/** Vectors of neighbouring lines that run together. */
const UNROLL = 4

/**
 * Emits the module of running combinations over dense [outer, length, inner]. A task is a block of neighbouring lines, or a
 * single line where `inner` is 1.
 */
function emitCumulative({ type, mode, shared }: { type: LaneType; mode: CombineMode; shared: boolean }): Uint8Array<ArrayBuffer> {
  const { m, lanes, f, begin, end, args } = routineModule(type, shared)
  const storeLanes = emitStoreLanes(m, lanes)
  const [length, inner, blocks, step] = words.define(f, args, ['length', 'inner', 'blocks', 'step'])
  const [task, offset, column, left] = [define(f, begin), f.local('i32'), f.local('i32'), f.local('i32')]
  const [x, y] = [f.local('i32'), f.local('i32')]

  const startLine = () => {
    assign(f, x, ['+', words.load(args, 'x'), offset])
    assign(f, y, ['+', words.load(args, 'y'), offset])
    assign(f, left, length)
  }
  /** Runs `body`, which pushes and stores the element at `x`, for the second to the last element of the line. */
  const along = (body: () => void) => {
    f.while(
      () => {
        f.increment(left, -1)
        f.get(left)
      },
      () => {
        assign(f, x, ['+', x, step])
        assign(f, y, ['+', y, step])
        body()
      },
    )
  }

  const scalarLine = () => {
    const [sum, next] = [f.local(lanes.scalar), f.local(lanes.scalar)]
    startLine()
    const store = () => {
      f.get(y)
      f.get(sum)
      f.mem(lanes.storeScalar)
    }
    f.get(x)
    f.mem(lanes.loadScalar)
    f.set(sum)
    store()
    along(() => {
      f.get(x)
      f.mem(lanes.loadScalar)
      f.set(next)
      combineScalars(f, lanes, mode, sum, next)
      f.set(sum)
      store()
    })
    f.release(sum, next)
  }

  const vectorLines = (vectors: number, store: (value: () => void, vector: number) => void) => {
    const sums = f.locals('v128', vectors)
    const next = f.local('v128')
    startLine()
    sums.forEach((sum, u) => {
      f.get(x)
      f.mem('v128.load', 16 * u)
      f.set(sum)
      store(() => f.get(sum), u)
    })
    along(() => {
      sums.forEach((sum, u) => {
        f.get(x)
        f.mem('v128.load', 16 * u)
        f.set(next)
        combineVectors(f, lanes, mode, sum, next)
        f.set(sum)
        store(() => f.get(sum), u)
      })
    })
    f.release(next, ...sums)
  }

  f.for(task, end, 1, () => {
    assign(f, column, ['*', ['%', task, blocks], UNROLL * lanes.count])
    assign(f, offset, ['+', ['*', ['/', task, blocks], words.load(args, 'lineBytes')], ['*', column, lanes.size]])
    assign(f, offset, ['+', offset, words.load(args, 'start')])
    // From here on the number of lines of this block.
    assign(f, column, ['min', ['-', inner, column], UNROLL * lanes.count])
    f.block((done) => {
      when(f, ['==', inner, 1], () => {
        scalarLine()
        f.br(done)
      })
      when(f, ['==', column, UNROLL * lanes.count], () => {
        vectorLines(UNROLL, (value, u) => {
          f.get(y)
          value()
          f.mem('v128.store', 16 * u)
        })
        f.br(done)
      })
      loopWhile(f, ['>', column, 0], () => {
        vectorLines(1, (value) => {
          f.get(y)
          value()
          f.get(column)
          f.call(storeLanes)
        })
        f.increment(offset, 16)
        f.increment(column, -lanes.count)
      })
    })
  })
  return m.toBytes()
}

/** Dense x to dense y of its shape, along `axis`. Pointers: x, y. */
function planCumulative({ shape }: Operand, axis: number, reverse: boolean, type: LaneType): RoutinePlan {
  const { size, count } = lanesOf(type, false)
  const product = (sizes: readonly number[]) => sizes.reduce((a, b) => a * b, 1)
  const [outer, length, inner] = [product(shape.slice(0, axis)), shape[axis]!, product(shape.slice(axis + 1))]
  const blocks = Math.ceil(inner / (UNROLL * count))
  const step = inner * size
  return {
    words: words.withValues({
      length,
      inner,
      blocks,
      lineBytes: length * step,
      ...(reverse ? { start: (length - 1) * step, step: -step } : { start: 0, step }),
    }),
    pointers: [words.at('x'), words.at('y')],
    tasks: outer * blocks,
    scratchBytes: 0,
    work: 4 * outer * length * inner,
  }
}

export const cumulativeRecipe: RecipeRule<'cumulative'> = ({ attrs: { axis, combine, reverse }, outputs }, type, demand) => {
  const mode: CombineMode = ({ sum: 'add', prod: 'mul', max: 'max', min: 'min' } as const)[combine]
  const x = demand('dense')
  return {
    demands: [{ ...x, through: { ...x.through, narrow: outputs[0]!.dtype } }],
    results: [type],
    job: ([operand]) => ({
      plan: planCumulative(operand!, axis, reverse, type),
      module: { key: `cumulative ${mode} ${type}`, emit: ({ shared }) => emitCumulative({ type, mode, shared }) },
    }),
  }
}
