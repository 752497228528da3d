import type { FunctionBuilder, Label, Local } from './function-builder.ts'
import type { PlainOp } from './opcodes.ts'

const operators = {
  '+': 'i32.add',
  '-': 'i32.sub',
  '*': 'i32.mul',
  '/': 'i32.div_s',
  '%': 'i32.rem_s',
  '&': 'i32.and',
  '|': 'i32.or',
  '==': 'i32.eq',
  '!=': 'i32.ne',
  '<': 'i32.lt_s',
  '<=': 'i32.le_s',
  '>': 'i32.gt_s',
  '>=': 'i32.ge_s',
  '<u': 'i32.lt_u',
} as const satisfies Record<string, PlainOp>

/**
 * i32 arithmetic in prefix form, for addresses and counts: `['+', c, ['*', row, stride]]`. Numbers are constants;
 * `min` and `max` (signed) evaluate their operands twice; `load` reads the word at an address plus a constant.
 */
export type I32 = number | Local<'i32'> | readonly [keyof typeof operators | 'min' | 'max', I32, I32] | readonly ['load', I32, number]

/** Pushes the value of an expression. */
export function push(f: FunctionBuilder, e: I32): void {
  if (typeof e === 'number') {
    f.i32(e)
  } else if (!isTree(e)) {
    f.get(e)
  } else if (e[0] === 'load') {
    push(f, e[1])
    f.mem('i32.load', e[2])
  } else {
    const [operator, a, b] = e
    if (operator === '*' && typeof b === 'number' && b > 0 && Number.isInteger(Math.log2(b))) {
      push(f, a)
      if (b === 1) return
      f.i32(Math.log2(b))
      f.op('i32.shl')
      return
    }
    push(f, a)
    push(f, b)
    if (operator === 'min' || operator === 'max') {
      push(f, [operator === 'min' ? '<' : '>', a, b])
      f.select()
    } else {
      f.op(operators[operator])
    }
  }
}

/** `to = e` */
export function assign(f: FunctionBuilder, to: Local<'i32'>, e: I32): void {
  push(f, e)
  f.set(to)
}

/** A new local that holds the value of `e`. */
export function define(f: FunctionBuilder, e: I32): Local<'i32'> {
  const local = f.local('i32')
  assign(f, local, e)
  return local
}

/** Runs `body` as long as `condition` is not zero. */
export function loopWhile(f: FunctionBuilder, condition: I32, body: (exit: Label) => void): void {
  f.while(() => push(f, condition), body)
}

/** Runs `then` if `condition` is not zero, else `otherwise`. */
export function when(f: FunctionBuilder, condition: I32, then: (label: Label) => void, otherwise?: (label: Label) => void): void {
  push(f, condition)
  f.if(then, otherwise)
}

function isTree(e: Exclude<I32, number>): e is Exclude<I32, number | Local<'i32'>> {
  return Array.isArray(e)
}
