import type { Combiner, ScalarType } from '../scalar.ts'
import { emitScalar } from './emit-scalar.ts'
import type { Local } from './function-builder.ts'
import { type Expression, laneBytes, type VectorCode } from './vector-code.ts'

/** A running reduction in each lane. `argmax` and `argmin` also carry positions, in lanes as wide as a bool's. */
export interface Accumulator {
  readonly combine: Combiner
  /** Type of what is reduced. */
  readonly type: ScalarType
  readonly value: Local<'v128'>
  readonly position: Local<'v128'> | undefined
}

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

export function startAccumulator(c: VectorCode, combine: Combiner, type: ScalarType): Accumulator {
  const value = c.f.local('v128')
  c.set(value, c.number(type, identity(combine, type)))
  if (!isPositional(combine)) return { combine, type, value, position: undefined }
  const position = c.f.local('v128')
  c.set(position, c.i32(0))
  return { combine, type, value, position }
}

export function releaseAccumulator(c: VectorCode, { value, position }: Accumulator): void {
  c.f.release(value)
  if (position) c.f.release(position)
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
  if (type !== 'float32' && type !== 'float64') return compare(max ? 'gt' : 'lt', x, best)
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
    const next = combined(c, to.combine, to.type, old, x)
    c.set(to.value, mask ? c.where(c.maskFor(to.type, mask), next, old) : next)
  })
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

/** `to` takes in what `from` has; of equal extrema the first position counts. */
export function mergeAccumulators(c: VectorCode, to: Accumulator, from: { value: Expression; position?: Expression }): void {
  c.scope(() => {
    const value = c.keep(from.value)
    const old = c.read(to.value)
    if (!to.position) {
      c.set(to.value, combined(c, to.combine, to.type, old, value))
      return
    }
    const position = c.keep(from.position!)
    const equal = (a: Expression, b: Expression) => emitScalar(c, 'eq', to.type, [a, b], [false, false])
    const same = equal(old, value)
    const nan = c.op('v128.not', c.op('v128.or', equal(old, old), equal(value, value)))
    const tie = to.type === 'float32' || to.type === 'float64' ? c.op('v128.or', same, nan) : same
    const earlier = c.op(c.lanes === 4 ? 'i32x4.lt_s' : 'i64x2.lt_s', position, c.read(to.position))
    const wins = c.op('v128.or', better(c, to.combine, to.type, value, old), c.op('v128.and', tie, earlier))
    take(c, to, c.keep(wins), value, position)
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
  for (const turn of turns) {
    const turned = (local: Local<'v128'>, narrow: boolean) => () => {
      c.f.get(local)
      c.f.get(local)
      if (narrow) c.f.shuffle32(1, 0, 1, 0)
      else c.f.shuffle32(...turn)
    }
    const value = turned(to.value, c.lanes === 2 && laneBytes(to.type, 2) === 4)
    mergeAccumulators(c, to, to.position ? { value, position: turned(to.position, false) } : { value })
  }
}

/** The reduction's value, in its own type. */
export function accumulated(c: VectorCode, { value, position }: Accumulator): Expression {
  return position ? c.maskFor('int32', c.read(position)) : c.read(value)
}
