import type { Combiner, ScalarType } from '../scalar.ts'
import { emitScalar } from './emit-scalar.ts'
import type { Local } from './function-builder.ts'
import { type Expression, laneBytes, shapeOf, type VectorCode } from './vector-code.ts'

/**
 * A running reduction in each lane. `argmax` and `argmin` also carry positions, in lanes as wide as a bool's. `max` and `min`
 * of floats skip NaNs, which is one instruction instead of many, and remember in a mask of the type's lanes that there was one,
 * unless nobody needs to know.
 */
export interface Accumulator {
  readonly combine: Combiner
  /** Type of what is reduced. */
  readonly type: ScalarType
  readonly value: Local<'v128'>
  readonly position: Local<'v128'> | undefined
  readonly skipsNaN: boolean
  readonly sawNaN: Local<'v128'> | undefined
}

const isFloat = (type: ScalarType) => type === 'float32' || type === 'float64'

const isPositional = (combine: Combiner) => combine === 'argmax' || combine === 'argmin'

/** What an empty reduction gives. */
function identity(combine: Combiner, type: ScalarType): number | bigint {
  const wide = type === 'int64'
  switch (combine) {
    case 'sum':
    case 'or':
      return wide ? 0n : 0
    case 'prod':
      return wide ? 1n : 1
    case 'and':
      return wide ? -1n : type === 'bool' ? 1 : -1
    case 'max':
    case 'argmax':
      return lowest(type)
    case 'min':
    case 'argmin':
      return type === 'bool' ? 1 : wide ? 2n ** 63n - 1n : type === 'int32' ? 2 ** 31 - 1 : Number.POSITIVE_INFINITY
  }
}

function lowest(type: ScalarType): number | bigint {
  if (type === 'bool') return 0
  return type === 'int64' ? -(2n ** 63n) : type === 'int32' ? -(2 ** 31) : Number.NEGATIVE_INFINITY
}

/** @param blind Whether a NaN may go unnoticed, in an extremum. */
export function startAccumulator(c: VectorCode, combine: Combiner, type: ScalarType, { blind }: { readonly blind: boolean }): Accumulator {
  const value = c.f.local('v128')
  c.set(value, c.number(type, identity(combine, type)))
  const zero = () => {
    const local = c.f.local('v128')
    c.set(local, c.i32(0))
    return local
  }
  const position = isPositional(combine) ? zero() : undefined
  const skipsNaN = (combine === 'max' || combine === 'min') && isFloat(type)
  return { combine, type, value, position, skipsNaN, sawNaN: skipsNaN && !blind ? zero() : undefined }
}

/** The vectors that it is made of. */
export const partsOf = ({ value, position, sawNaN }: Accumulator): Local<'v128'>[] => [
  value,
  ...(position ? [position] : []),
  ...(sawNaN ? [sawNaN] : []),
]

export function releaseAccumulator(c: VectorCode, accumulator: Accumulator): void {
  c.f.release(...partsOf(accumulator))
}

function combined(c: VectorCode, combine: Combiner, type: ScalarType, a: Expression, b: Expression): Expression {
  const op = (name: 'add' | 'mul' | 'max' | 'min' | 'and' | 'or') => emitScalar(c, name, type, [a, b], [false, false])
  switch (combine) {
    case 'sum':
      return op(type === 'bool' ? 'or' : 'add')
    case 'prod':
      return op(type === 'bool' ? 'and' : 'mul')
    case 'max':
    case 'argmax':
      return op('max')
    case 'min':
    case 'argmin':
      return op('min')
    default:
      return op(combine)
  }
}

/** A bool: whether `x` takes the place of `best`; NaN does so unless `best` is one. */
function better(c: VectorCode, combine: Combiner, type: ScalarType, x: Expression, best: Expression): Expression {
  const compare = (name: 'lt' | 'gt' | 'le' | 'ge' | 'eq', a: Expression, b: Expression) =>
    emitScalar(c, name, type, [a, b], [false, false])
  const max = combine === 'argmax'
  if (!isFloat(type)) return compare(max ? 'gt' : 'lt', x, best)
  return c.op('v128.andnot', compare('eq', best, best), compare(max ? 'le' : 'ge', x, best))
}

/** `accumulator` takes in `x`, in the lanes of `mask` (a bool) only if there is one. `position` is given for positional ones. */
export function accumulate(c: VectorCode, to: Accumulator, x: Expression, position: Expression, mask?: Expression): void {
  c.scope(() => {
    const old = c.read(to.value)
    if (to.position) {
      const wins = better(c, to.combine, to.type, x, old)
      take(c, to, c.keep(mask ? c.op('v128.and', wins, mask) : wins), x, position)
      return
    }
    const lanes = mask && c.keep(c.maskFor(to.type, mask))
    const next = to.skipsNaN ? skippingNaN(c, to, x) : combined(c, to.combine, to.type, old, x)
    c.set(to.value, lanes ? c.where(lanes, next, old) : next)
    if (!to.sawNaN) return
    const isNaN = c.op(`${shapeOf(to.type, c.lanes) as 'f32x4' | 'f64x2'}.ne`, x, x)
    c.set(to.sawNaN, c.op('v128.or', c.read(to.sawNaN), lanes ? c.op('v128.and', isNaN, lanes) : isNaN))
  })
}

/** The extremum of the numbers so far and x; x is passed over where it is NaN. */
function skippingNaN(c: VectorCode, { combine, type, value }: Accumulator, x: Expression): Expression {
  return c.op(`${shapeOf(type, c.lanes) as 'f32x4' | 'f64x2'}.p${combine as 'max' | 'min'}`, c.read(value), x)
}

/** `accumulator` += a b, fused. */
export function accumulateProduct(c: VectorCode, to: Accumulator, a: Expression, b: Expression, mask?: Expression): void {
  c.scope(() => {
    const old = c.read(to.value)
    const next = c.madd(a, b, old, to.type === 'float64' ? 'f64x2' : 'f32x4')
    c.set(to.value, mask ? c.where(c.maskFor(to.type, mask), next, old) : next)
  })
}

function take(c: VectorCode, to: Accumulator, where: Expression, value: Expression, position: Expression): void {
  c.set(to.value, c.where(c.maskFor(to.type, where), value, c.read(to.value)))
  c.set(to.position!, c.where(where, position, c.read(to.position!)))
}

/** `to` takes in the parts of another one like it; of equal extrema the first position counts. */
export function mergeAccumulators(c: VectorCode, to: Accumulator, from: readonly Expression[]): void {
  c.scope(() => {
    const [value, second] = from.map((part) => c.keep(part)) as [Expression, Expression?]
    const old = c.read(to.value)
    if (to.skipsNaN) {
      c.set(to.value, skippingNaN(c, to, value))
      if (to.sawNaN) c.set(to.sawNaN, c.op('v128.or', c.read(to.sawNaN), second!))
      return
    }
    if (!to.position) {
      c.set(to.value, combined(c, to.combine, to.type, old, value))
      return
    }
    const equal = (a: Expression, b: Expression) => emitScalar(c, 'eq', to.type, [a, b], [false, false])
    const same = equal(old, value)
    const nan = c.op('v128.not', c.op('v128.or', equal(old, old), equal(value, value)))
    const tie = isFloat(to.type) ? c.op('v128.or', same, nan) : same
    const earlier = c.op(c.lanes === 4 ? 'i32x4.lt_s' : 'i64x2.lt_s', second!, c.read(to.position))
    const wins = c.op('v128.or', better(c, to.combine, to.type, value, old), c.op('v128.and', tie, earlier))
    take(c, to, c.keep(wins), value, second!)
  })
}

/** Combines the lanes; all of them hold the result then. */
export function reduceLanes(c: VectorCode, to: Accumulator): void {
  const turns: (readonly [number, number, number, number])[] =
    c.lanes === 4
      ? [
          [2, 3, 0, 1],
          [1, 0, 3, 2],
        ]
      : [[2, 3, 0, 1]]
  const narrow = c.lanes === 2 && laneBytes(to.type, 2) === 4
  for (const turn of turns) {
    const turned = (local: Local<'v128'>) => () => {
      c.f.get(local)
      c.f.get(local)
      if (narrow && local !== to.position) c.f.shuffle32(1, 0, 1, 0)
      else c.f.shuffle32(...turn)
    }
    mergeAccumulators(c, to, partsOf(to).map(turned))
  }
}

/** The reduction's value, in its own type. */
export function accumulated(c: VectorCode, { type, value, position, sawNaN }: Accumulator): Expression {
  if (position) return c.maskFor('int32', c.read(position))
  return sawNaN ? c.where(c.read(sawNaN), c.number(type, Number.NaN), c.read(value)) : c.read(value)
}
