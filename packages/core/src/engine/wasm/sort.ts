import { sizeOf } from '../../layout.ts'
import { ModuleBuilder } from './assembler.ts'
import type { Local } from './function-builder.ts'
import { assign, define, push } from './i32-expression.ts'
import { type LaneType, lanesOf } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { PlainOp } from './opcodes.ts'
import type { RecipeRule } from './routine-code.ts'
import { ArgumentWords, routineFunction } from './routine-entry.ts'

const words = new ArgumentWords(['x', 'y', 'positions', 'length', 'flip'])

/** Rows up to this length are sorted by insertion. */
const SHORT = 40
const DIGIT_BYTES = 4 * 256

/**
 * Emits the module that sorts dense rows, each a task. Elements become unsigned keys of the same order (all NaNs the largest,
 * -0 equal to 0; complemented for descending order), which are sorted together with their positions: short rows by insertion,
 * others by radix sort from the least significant byte on. Both are stable.
 */
function emitSort({ type, shared }: { type: LaneType; shared: boolean }): Uint8Array<ArrayBuffer> {
  const lanes = lanesOf(type, false)
  const wide = lanes.size === 8
  const int = wide ? 'i64' : 'i32'
  const PAIR = 2 * lanes.size
  const digits = lanes.size
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  const { f, begin, end, args, scratch } = routineFunction(m)
  const constant = (value: number) => (wide ? f.i64(value) : f.i32(value))
  const local = () => f.local('i32')

  const length = define(f, words.load(args, 'length'))
  const rowBytes = define(f, ['*', length, lanes.size])
  const x = define(f, ['+', words.load(args, 'x'), ['*', begin, rowBytes]])
  const y = define(f, ['+', words.load(args, 'y'), ['*', begin, rowBytes]])
  const positions = define(f, ['+', words.load(args, 'positions'), ['*', begin, ['*', length, 4]]])
  const first = define(f, ['+', scratch, digits * DIGIT_BYTES])
  const second = define(f, ['+', first, ['*', length, PAIR]])
  const flip = f.local(int)
  push(f, words.load(args, 'flip'))
  if (wide) f.op('i64.extend_i32_s')
  f.set(flip)

  const [task, i, from, to, pairs, target, digit, slot, sum] = [
    define(f, begin),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
    local(),
  ]
  const [key, other] = [f.local(int), f.local(int)]
  const [value, pair] = [f.local(lanes.scalar), f.local(wide ? 'v128' : 'i64')]

  /** `key` of the element at `from`. */
  const makeKey = () => {
    f.get(from)
    f.mem(lanes.loadScalar)
    if (lanes.scalar === 'i32' || lanes.scalar === 'i64') {
      pushSign()
      f.op(`${int}.xor`)
    } else {
      f.tee(value)
      if (lanes.scalar === 'f32') f.f32(0)
      else f.f64(0)
      // -0 + 0 is 0.
      f.op(lanes.scalarAdd)
      f.op(wide ? 'i64.reinterpret_f64' : 'i32.reinterpret_f32')
      f.tee(key)
      f.get(key)
      constant(8 * lanes.size - 1)
      f.op(`${int}.shr_s`)
      pushSign()
      f.op(`${int}.or`)
      f.op(`${int}.xor`)
      constant(-1)
      f.get(value)
      f.get(value)
      f.op(`${lanes.scalar}.eq` as PlainOp)
      f.select()
    }
    f.get(flip)
    f.op(`${int}.xor`)
    f.set(key)
  }
  const pushSign = () => (wide ? f.i64(-(2n ** 63n)) : f.i32(-(2 ** 31)))
  const storePair = (at: Local<'i32'>) => {
    f.get(at)
    f.get(key)
    f.mem(wide ? 'i64.store' : 'i32.store')
    f.get(at)
    f.get(i)
    f.mem('i32.store', lanes.size)
  }
  const movePair = (source: () => void, destination: () => void) => {
    destination()
    source()
    f.mem(wide ? 'v128.load' : 'i64.load')
    f.mem(wide ? 'v128.store' : 'i64.store')
  }
  /** For each element of the row: `i` its number, `from` its address, `key`, and `to`, where its pair belongs. */
  const eachElement = (body: () => void) => {
    assign(f, i, 0)
    assign(f, from, x)
    assign(f, to, first)
    f.for(i, length, 1, () => {
      makeKey()
      body()
      f.increment(from, lanes.size)
      f.increment(to, PAIR)
    })
  }

  const byInsertion = () => {
    eachElement(() => {
      assign(f, target, to)
      f.while(
        () => {
          push(f, ['!=', target, first])
          f.if(
            () => {
              f.get(target)
              f.i32(PAIR)
              f.op('i32.sub')
              f.mem(wide ? 'i64.load' : 'i32.load')
              f.get(key)
              f.op(`${int}.gt_u`)
            },
            () => f.i32(0),
            'i32',
          )
        },
        () => {
          movePair(
            () => push(f, ['-', target, PAIR]),
            () => f.get(target),
          )
          f.increment(target, -PAIR)
        },
      )
      storePair(target)
    })
    assign(f, pairs, first)
  }

  const byRadix = () => {
    f.get(scratch)
    f.i32(0)
    f.i32(digits * DIGIT_BYTES)
    f.memoryFill()
    eachElement(() => {
      storePair(to)
      for (let d = 0; d < digits; d++) {
        f.get(scratch)
        f.get(key)
        if (d > 0) {
          constant(8 * d)
          f.op(`${int}.shr_u`)
        }
        if (wide) f.op('i32.wrap_i64')
        f.i32(255)
        f.op('i32.and')
        f.i32(2)
        f.op('i32.shl')
        f.op('i32.add')
        f.tee(slot)
        f.get(slot)
        f.mem('i32.load', d * DIGIT_BYTES)
        f.i32(1)
        f.op('i32.add')
        f.mem('i32.store', d * DIGIT_BYTES)
      }
    })
    assign(f, pairs, first)
    assign(f, target, second)
    const counts = define(f, scratch)
    const last = define(f, first)
    assign(f, digit, 0)
    const digitCount = define(f, digits)
    f.for(digit, digitCount, 1, () => {
      /** Address of the count of the digit of the pair at `at`. */
      const pushSlot = (at: Local<'i32'>) => {
        f.get(at)
        f.get(digit)
        f.op('i32.add')
        f.mem('i32.load8_u')
        f.i32(2)
        f.op('i32.shl')
        f.get(counts)
        f.op('i32.add')
      }
      // A digit that all keys share changes nothing.
      pushSlot(pairs)
      f.mem('i32.load')
      f.get(length)
      f.op('i32.ne')
      f.if(() => {
        // Counts become addresses.
        assign(f, sum, target)
        assign(f, slot, counts)
        assign(f, last, ['+', counts, DIGIT_BYTES])
        f.while(
          () => push(f, ['!=', slot, last]),
          () => {
            const here = define(f, ['load', slot, 0])
            f.get(slot)
            f.get(sum)
            f.mem('i32.store')
            assign(f, sum, ['+', sum, ['*', here, PAIR]])
            f.increment(slot, 4)
            f.release(here)
          },
        )
        assign(f, from, pairs)
        assign(f, i, length)
        f.while(
          () => f.get(i),
          () => {
            f.get(from)
            f.mem(wide ? 'v128.load' : 'i64.load')
            f.set(pair)
            pushSlot(from)
            f.tee(slot)
            f.mem('i32.load')
            f.tee(to)
            f.get(pair)
            f.mem(wide ? 'v128.store' : 'i64.store')
            f.get(slot)
            f.get(to)
            f.i32(PAIR)
            f.op('i32.add')
            f.mem('i32.store')
            f.increment(from, PAIR)
            f.increment(i, -1)
          },
        )
        assign(f, sum, pairs)
        assign(f, pairs, target)
        assign(f, target, sum)
      })
      f.increment(counts, DIGIT_BYTES)
    })
    f.release(counts, last, digitCount)
  }

  f.for(task, end, 1, () => {
    push(f, ['<=', length, SHORT])
    f.if(byInsertion, byRadix)
    assign(f, i, length)
    f.while(
      () => f.get(i),
      () => {
        f.get(positions)
        f.get(pairs)
        f.mem('i32.load', lanes.size)
        f.tee(slot)
        f.mem('i32.store')
        f.get(y)
        push(f, ['+', x, ['*', slot, lanes.size]])
        f.mem(lanes.loadScalar)
        f.mem(lanes.storeScalar)
        f.increment(pairs, PAIR)
        f.increment(positions, 4)
        f.increment(y, lanes.size)
        f.increment(i, -1)
      },
    )
    assign(f, x, ['+', x, rowBytes])
  })
  f.release(other)
  return m.toBytes()
}

/** Dense rows of `length` elements. Pointers: x, values, positions. */
function planSort(rows: number, length: number, descending: boolean, type: LaneType): RoutinePlan {
  const { size } = lanesOf(type, false)
  return {
    words: words.withValues({ length, flip: descending ? -1 : 0 }),
    pointers: [words.at('x'), words.at('y'), words.at('positions')],
    tasks: rows,
    scratchBytes: size * DIGIT_BYTES + 2 * length * 2 * size,
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
      plan: planSort(sizeOf(shape) / length, length, attrs.descending, type),
      module: { key: `sort ${type}`, emit: ({ shared }) => emitSort({ type, shared }) },
    }
  },
})
