import { sizeOf } from '../../layout.ts'
import { assign, define, loopWhile, push, when } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { RecipeRule } from './routine-code.ts'
import { ArgumentWords, routineModule } from './routine-entry.ts'
import { pairsBytes, SortedPairs } from './sorted-pairs.ts'

const words = new ArgumentWords(['x', 'y', 'positions', 'length', 'flip'])

/** Rows up to this length are sorted by insertion. */
const SHORT = 40

/**
 * Emits the module that sorts dense rows, each a task. Elements become unsigned keys of the same order (all NaNs the largest,
 * -0 equal to 0; complemented for descending order), which are sorted together with their positions: short rows by insertion,
 * others by radix sort from the least significant byte on. Both are stable.
 */
function emitSort({ type, shared }: { type: LaneType; shared: boolean }): Uint8Array<ArrayBuffer> {
  const { m, lanes, f, begin, end, args, scratch } = routineModule(type, shared)
  const length = define(f, words.load(args, 'length'))
  const rowBytes = define(f, ['*', length, lanes.size])
  const x = define(f, ['+', words.load(args, 'x'), ['*', begin, rowBytes]])
  const y = define(f, ['+', words.load(args, 'y'), ['*', begin, rowBytes]])
  const positions = define(f, ['+', words.load(args, 'positions'), ['*', begin, ['*', length, 4]]])
  const [task, left, position] = [define(f, begin), f.local('i32'), f.local('i32')]
  const pairs = new SortedPairs(f, lanes, { x, length, flip: words.load(args, 'flip'), scratch })

  f.for(task, end, 1, () => {
    when(
      f,
      ['<=', length, SHORT],
      () => pairs.byInsertion(),
      () => pairs.byRadix(),
    )
    assign(f, left, length)
    loopWhile(f, left, () => {
      f.get(positions)
      f.get(pairs.sorted)
      f.mem('i32.load', lanes.size)
      f.tee(position)
      f.mem('i32.store')
      f.get(y)
      push(f, ['+', x, ['*', position, lanes.size]])
      f.mem(lanes.loadScalar)
      f.mem(lanes.storeScalar)
      f.increment(pairs.sorted, pairs.bytes)
      f.increment(positions, 4)
      f.increment(y, lanes.size)
      f.increment(left, -1)
    })
    assign(f, x, ['+', x, rowBytes])
  })
  return m.toBytes()
}

/** Dense rows of `length` elements. Pointers: x, values, positions. */
function planSort(rows: number, length: number, { type, descending }: { type: LaneType; descending: boolean }): RoutinePlan {
  const { size } = lanesOf(type, false)
  return {
    words: words.withValues({ length, flip: descending ? -1 : 0 }),
    pointers: [words.at('x'), words.at('y'), words.at('positions')],
    tasks: rows,
    scratchBytes: pairsBytes(length, size),
    work: rows * length * 50,
  }
}

export const sortRecipe: RecipeRule<'sort'> = ({ attrs, inputs }, type, demand) => ({
  demands: [demand('dense')],
  results: [type, 'int32'],
  job() {
    const { shape } = inputs[0]!
    const length = shape.at(-1) ?? 1
    return {
      plan: planSort(sizeOf(shape) / length, length, { type, descending: attrs.descending }),
      module: { key: `sort ${type}`, emit: ({ shared }) => emitSort({ type, shared }) },
    }
  },
})
