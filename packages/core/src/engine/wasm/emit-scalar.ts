import type { DType } from '../../dtype.ts'
import { type ScalarOp, type ScalarType, scalarOps } from '../scalar.ts'
import type { FunctionBuilder, FunctionRef } from './function-builder.ts'
import { type MathFunction, mathFunctions } from './math.ts'
import type { PlainOp } from './opcodes.ts'
import { type Expression, shapeOf, type VectorCode } from './vector-code.ts'

/** One scalar instruction on vectors: operands are cheap to repeat; `uniform` tells which have the same value in all lanes. */
type Emit = (c: VectorCode, type: ScalarType, args: readonly Expression[], uniform: readonly boolean[]) => Expression

const isFloat = (type: ScalarType) => type === 'float32' || type === 'float64'
const machineType = { bool: 'i32', int32: 'i32', int64: 'i64', float32: 'f32', float64: 'f64' } as const

/** The lane-wise instruction of one name. */
const plain =
  (name: string): Emit =>
  (c, type, args) =>
    c.op(`${shapeOf(type, c.lanes)}.${name}` as PlainOp, ...args)

/** Lane by lane in scalar code; `body` finds the operands' lanes on the stack. */
function eachLane(c: VectorCode, from: ScalarType, to: ScalarType, args: readonly Expression[], body: () => void): Expression {
  return c.build(to, (lane) => {
    for (const arg of args) c.extract(from, arg, lane)()
    body()
  })
}

/** Integer division that never traps: by 0 it gives 0, and by -1 it wraps. */
function divide(c: VectorCode, type: 'int32' | 'int64', args: readonly Expression[], remainder: boolean): Expression {
  const t = machineType[type]
  const number = (f: FunctionBuilder, value: number) => (t === 'i32' ? f.i32(value) : f.i64(value))
  const callee = c.helper(
    `${remainder ? 'remainder' : 'quotient'} ${t}`,
    (f) => {
      const [a, b] = [f.param(t), f.param(t)]
      // 0 and -1 are the numbers that are less than 2 after adding 1, unsigned.
      f.get(b)
      number(f, 1)
      f.op(`${t}.add`)
      number(f, 2)
      f.op(`${t}.lt_u`)
      f.if(
        () => {
          // The quotient by 0 is 0 and the one by -1 is -a: a * b; remainders are 0.
          if (remainder) return number(f, 0)
          f.get(a)
          f.get(b)
          f.op(`${t}.mul`)
        },
        () => {
          f.get(a)
          f.get(b)
          f.op(remainder ? `${t}.rem_s` : `${t}.div_s`)
        },
        t,
      )
    },
    [t],
  )
  return eachLane(c, type, type, args, () => c.f.call(callee))
}

/** Exact remainder of doubles by long division, 2^k b being subtracted while it fits. */
function floatRemainder(f: FunctionBuilder): void {
  const [a, b] = [f.param('f64'), f.param('f64')]
  const [x, t] = [f.local('f64'), f.local('f64')]
  f.get(a)
  f.op('f64.abs')
  f.set(x)
  f.get(b)
  f.op('f64.abs')
  f.tee(b)
  f.set(t)
  const infinite = (v: typeof x) => {
    f.get(v)
    f.f64(Number.POSITIVE_INFINITY)
    f.op('f64.lt')
    f.op('i32.eqz')
  }
  // NaN, an infinite dividend or a zero divisor.
  infinite(x)
  f.get(b)
  f.f64(0)
  f.op('f64.gt')
  f.op('i32.eqz')
  f.op('i32.or')
  f.if(() => {
    f.f64(Number.NaN)
    f.return()
  })
  infinite(b)
  f.if(() => {
    f.get(a)
    f.return()
  })
  f.while(
    () => {
      f.get(t)
      f.get(x)
      f.f64(0.5)
      f.op('f64.mul')
      f.op('f64.le')
    },
    () => {
      f.get(t)
      f.get(t)
      f.op('f64.add')
      f.set(t)
    },
  )
  f.block((done) => {
    f.loop((again) => {
      f.get(x)
      f.get(t)
      f.op('f64.ge')
      f.if(() => {
        f.get(x)
        f.get(t)
        f.op('f64.sub')
        f.set(x)
      })
      f.get(t)
      f.get(b)
      f.op('f64.le')
      f.brIf(done)
      f.get(t)
      f.f64(0.5)
      f.op('f64.mul')
      f.set(t)
      f.br(again)
    })
  })
  f.get(x)
  f.get(a)
  f.op('f64.copysign')
}

const promote = (c: VectorCode, type: ScalarType) => {
  if (type === 'float32') c.f.op('f64.promote_f32')
}
const demote = (c: VectorCode, type: ScalarType) => {
  if (type === 'float32') c.f.op('f32.demote_f64')
}

/** A function of float64 numbers, lane by lane. */
function byFunction(c: VectorCode, type: ScalarType, args: readonly Expression[], callee: FunctionRef): Expression {
  return c.build(type, (lane) => {
    for (const arg of args) {
      c.extract(type, arg, lane)()
      promote(c, type)
    }
    c.f.call(callee)
    demote(c, type)
  })
}

const remainder: Emit = (c, type, args) => {
  if (!isFloat(type)) return divide(c, type as 'int32' | 'int64', args, true)
  return byFunction(c, type, args, c.helper('remainder f64', floatRemainder, ['f64']))
}

const isMath = (op: ScalarOp): op is keyof typeof mathFunctions => op in mathFunctions

function transcendental(name: ScalarOp, { polynomial, inline }: MathFunction): Emit {
  return (c, type, args) => {
    if (type === 'float64') return byFunction(c, type, args, c.context.math.get(name)!)
    return inline ? polynomial(c, ...args) : c.outOfLine(name, polynomial, ...args)
  }
}

const transcendentals = Object.fromEntries(
  Object.entries(mathFunctions).map(([name, f]) => [name, transcendental(name as ScalarOp, f)]),
) as Record<keyof typeof mathFunctions, Emit>

/** `Math.pow` with IEEE's 1 ** NaN = 1 and (-1) ** Infinity = 1. */
function ieeePow(f: FunctionBuilder, pow: FunctionRef): void {
  const [a, b] = [f.param('f64'), f.param('f64')]
  f.f64(1)
  f.get(a)
  f.get(b)
  f.call(pow)
  f.get(a)
  f.f64(1)
  f.op('f64.eq')
  f.get(a)
  f.f64(-1)
  f.op('f64.eq')
  f.get(b)
  f.op('f64.abs')
  f.f64(Number.POSITIVE_INFINITY)
  f.op('f64.eq')
  f.op('i32.and')
  f.op('i32.or')
  f.select()
}

const power: Emit = (c, type, args) => {
  if (type === 'float32') return transcendentals.pow(c, type, args, [])
  const pow = c.context.math.get('pow')!
  return byFunction(
    c,
    type,
    args,
    c.helper('pow f64', (f) => ieeePow(f, pow), ['f64']),
  )
}

/** max and min: bools by logic, int64 by comparison. */
function extremum(name: 'max' | 'min'): Emit {
  return (c, type, [a, b]) => {
    if (type === 'bool') return c.op(name === 'max' ? 'v128.or' : 'v128.and', a!, b!)
    if (type === 'int64') return c.where(c.op(name === 'max' ? 'i64x2.gt_s' : 'i64x2.lt_s', a!, b!), a!, b!)
    return c.op(`${shapeOf(type, c.lanes)}.${name}${type === 'int32' ? '_s' : ''}` as PlainOp, a!, b!)
  }
}

const mirrored = { lt: 'gt', gt: 'lt', le: 'ge', ge: 'le', eq: 'eq', ne: 'ne' } as const

function compare(name: keyof typeof mirrored): Emit {
  return (c, type, args) => {
    // Masks are 0 and -1, so as integers their order is the other way round.
    const relation = type === 'bool' ? mirrored[name] : name
    const signed = isFloat(type) || relation === 'eq' || relation === 'ne' ? '' : '_s'
    return c.maskFrom(type, c.op(`${shapeOf(type, c.lanes)}.${relation}${signed}` as PlainOp, ...args))
  }
}

const bits =
  (name: 'and' | 'or' | 'xor'): Emit =>
  (c, _, args) =>
    c.op(`v128.${name}`, ...args)

function shift(name: 'shl' | 'shr_s' | 'shr_u'): Emit {
  return (c, type, [x, amount], uniform) => {
    const t = machineType[type] as 'i32' | 'i64'
    if (!uniform[1]) return eachLane(c, type, type, [x!, amount!], () => c.f.op(`${t}.${name}`))
    return () => {
      x!()
      c.extract(type, amount!, 0)()
      if (t === 'i64') c.f.op('i32.wrap_i64')
      c.f.op(`${t === 'i32' ? 'i32x4' : 'i64x2'}.${name}`)
    }
  }
}

const scalarEmitters = {
  ...transcendentals,
  add: plain('add'),
  sub: plain('sub'),
  mul: plain('mul'),
  div: (c, type, args) =>
    isFloat(type) ? c.op(`${shapeOf(type, c.lanes)}.div` as PlainOp, ...args) : divide(c, type as 'int32' | 'int64', args, false),
  rem: remainder,
  max: extremum('max'),
  min: extremum('min'),
  pow: power,
  neg: plain('neg'),
  abs: plain('abs'),
  sqrt: plain('sqrt'),
  floor: plain('floor'),
  ceil: plain('ceil'),
  trunc: plain('trunc'),
  round: plain('nearest'),
  eq: compare('eq'),
  ne: compare('ne'),
  lt: compare('lt'),
  le: compare('le'),
  gt: compare('gt'),
  ge: compare('ge'),
  and: bits('and'),
  or: bits('or'),
  xor: bits('xor'),
  shl: shift('shl'),
  shr: shift('shr_s'),
  shru: shift('shr_u'),
} as const satisfies Record<ScalarOp, Emit>

export function emitScalar(
  c: VectorCode,
  op: ScalarOp,
  type: ScalarType,
  args: readonly Expression[],
  uniform: readonly boolean[],
): Expression {
  const emit: Emit = scalarEmitters[op]
  return emit(c, type, args, uniform)
}

/** The function of `Math` that the instruction calls, if any. */
export function mathImport(op: ScalarOp, type: ScalarType): { name: string; arity: 1 | 2 } | undefined {
  if (!isMath(op)) return undefined
  const f: MathFunction = mathFunctions[op]
  return type === 'float64' || (type === 'float32' && f.unlessHuge) ? { name: op, arity: scalarOps[op].arity } : undefined
}

/** Relative cost of an instruction, an addition being 1. */
export function scalarCost(op: ScalarOp, type: ScalarType): number {
  if (isMath(op)) return type === 'float64' ? 40 : 12
  if (op === 'rem' || (op === 'div' && !isFloat(type))) return 12
  return op === 'div' || op === 'sqrt' ? 3 : 1
}

/** Conversion between scalar types. */
export function emitCast(c: VectorCode, from: ScalarType, to: ScalarType, x: Expression): Expression {
  if (from === to) return x
  if (to === 'bool') {
    const shape = shapeOf(from, c.lanes)
    return c.maskFrom(from, c.op(`${shape}.ne`, x, c.number(from, 0)))
  }
  if (from === 'bool') return c.op('v128.and', c.maskFor(to, x), c.number(to, 1))
  const f = c.f
  switch (`${from} ${to}` as `${Exclude<ScalarType, 'bool'>} ${Exclude<ScalarType, 'bool'>}`) {
    case 'int32 int64':
      return c.op('i64x2.extend_low_i32x4_s', x)
    case 'int32 float32':
      return c.op('f32x4.convert_i32x4_s', x)
    case 'int32 float64':
      return c.op('f64x2.convert_low_i32x4_s', x)
    case 'int64 int32':
      return () => {
        x()
        x()
        f.shuffle32(0, 2, 0, 2)
      }
    case 'int64 float32':
      return eachLane(c, from, to, [x], () => f.op('f32.convert_i64_s'))
    case 'int64 float64':
      return eachLane(c, from, to, [x], () => f.op('f64.convert_i64_s'))
    case 'float32 int32':
      return c.op('i32x4.trunc_sat_f32x4_s', x)
    case 'float32 int64':
      return eachLane(c, from, to, [x], () => f.op('i64.trunc_sat_f32_s'))
    case 'float32 float64':
      return c.op('f64x2.promote_low_f32x4', x)
    case 'float64 int32':
      return c.op('i32x4.trunc_sat_f64x2_s_zero', x)
    case 'float64 int64':
      return eachLane(c, from, to, [x], () => f.op('i64.trunc_sat_f64_s'))
    default:
      return c.op('f32x4.demote_f64x2_zero', x)
  }
}

/** A value of the dtype's scalar type, from the bits that memory holds, zero-extended to a lane. */
export function decode(c: VectorCode, dtype: DType, raw: Expression): Expression {
  switch (dtype) {
    case 'bool':
      return c.op(`${shapeOf('bool', c.lanes) as 'i32x4' | 'i64x2'}.ne`, raw, c.number('int32', 0))
    case 'int8':
      return c.shift('i32x4.shr_s', c.shift('i32x4.shl', raw, 24), 24)
    case 'float16': {
      // Moving exponent and fraction into place divides by 2^112; what is beyond float16's range then is infinity or NaN.
      const magnitude = c.shift('i32x4.shl', c.op('v128.and', raw, c.i32(0x7fff)), 13)
      const value = c.keep(c.op('f32x4.mul', magnitude, c.f32(2 ** 112)))
      const special = c.op('v128.and', c.op('f32x4.ge', value, c.f32(65536)), c.f32(Number.POSITIVE_INFINITY))
      const sign = c.shift('i32x4.shl', c.op('v128.and', raw, c.i32(0x8000)), 16)
      return c.op('v128.or', c.op('v128.or', value, special), sign)
    }
    case 'bfloat16':
      return c.shift('i32x4.shl', raw, 16)
    default:
      return raw
  }
}

/** The bits that memory holds, in the low part of each lane; what is above them is 0 for half floats and else undefined. */
export function encode(c: VectorCode, dtype: DType, x: Expression): Expression {
  switch (dtype) {
    case 'bool':
      return c.op('v128.and', x, c.splat(shapeOf('bool', c.lanes), 1))
    case 'float16': {
      // F. Giesen, "float->half variants" (2012): round to nearest even by integer addition; subnormals by a float one.
      const sign = c.keep(c.op('v128.and', x, c.i32(-(2 ** 31))))
      const a = c.keep(c.op('v128.xor', x, sign))
      const subnormal = c.op('i32x4.sub', c.op('f32x4.add', a, c.f32(0.5)), c.f32(0.5))
      const odd = c.op('v128.and', c.shift('i32x4.shr_u', a, 13), c.i32(1))
      const normal = c.shift('i32x4.shr_u', c.op('i32x4.add', c.op('i32x4.add', a, c.i32(0xc8000fff | 0)), odd), 13)
      const finite = c.where(c.op('i32x4.lt_s', a, c.i32(0x38800000)), subnormal, normal)
      const special = c.where(c.op('i32x4.gt_s', a, c.i32(0x7f800000)), c.i32(0x7e00), c.i32(0x7c00))
      const magnitude = c.where(c.op('i32x4.ge_s', a, c.i32(0x47800000)), special, finite)
      return c.op('v128.or', magnitude, c.shift('i32x4.shr_u', sign, 16))
    }
    case 'bfloat16': {
      // To nearest even. NaN gets all bits set: adding to others could make an infinity or zero of them.
      const odd = c.op('v128.and', c.shift('i32x4.shr_u', x, 16), c.i32(1))
      const rounded = c.op('i32x4.add', c.op('i32x4.add', x, c.i32(0x7fff)), odd)
      return c.shift('i32x4.shr_u', c.op('v128.or', rounded, c.op('f32x4.ne', x, x)), 16)
    }
    default:
      return x
  }
}

/** What is left of a value after it went through memory of `dtype`. */
export function emitNarrow(c: VectorCode, dtype: DType, x: Expression): Expression {
  switch (dtype) {
    case 'uint8':
      return c.op('v128.and', x, c.i32(255))
    case 'int8':
      return decode(c, dtype, x)
    case 'float16':
    case 'bfloat16':
      return decode(c, dtype, c.keep(encode(c, dtype, x)))
    default:
      return x
  }
}
