import { isFloat } from '../dtype.ts'
import type { ScalarOp } from '../engine/scalar.ts'
import { sameShape, type Shape } from '../layout.ts'
import type { Broadcast, Checked, Result } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { full } from './creation.ts'
import { binary, type BinaryMethod, type ScalarLike, type SameMethods, toInputs } from './elementwise.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { all } from './reduce.ts'
import { define, type Documented, sampleTensor } from './table.ts'

const comparison = (name: Extract<ScalarOp, 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge'>, { doc }: Documented) =>
  binary(name, { doc, differentiable: false, code: (k, [a, b]) => [k[name](a!, b!)] })

export const eq = comparison('eq', { doc: 'Whether a equals b; NaN equals nothing.' })
export const ne = comparison('ne', { doc: 'Whether a and b differ.' })
export const lt = comparison('lt', { doc: 'Whether a < b.' })
export const le = comparison('le', { doc: 'Whether a <= b.' })
export const gt = comparison('gt', { doc: 'Whether a > b.' })
export const ge = comparison('ge', { doc: 'Whether a >= b.' })

const logical = (name: string, op: 'and' | 'or' | 'xor', { doc }: Documented) =>
  binary(name, { doc, dtypes: 'bool', differentiable: false, code: (k, [a, b]) => [k[op](a!, b!)] })

export const logicalAnd = logical('logicalAnd', 'and', { doc: 'Whether neither is zero.' })
export const logicalOr = logical('logicalOr', 'or', { doc: 'Whether one of both is not zero.' })
export const logicalXor = logical('logicalXor', 'xor', { doc: 'Whether exactly one of both is zero.' })

const bitwise = (name: string, op: 'and' | 'or' | 'xor', { doc }: Documented) =>
  binary(name, { doc, accepts: ['bool', 'int'], dtype: 'int32', differentiable: false, code: (k, [a, b]) => [k[op](a!, b!)] })

export const bitwiseAnd = bitwise('bitwiseAnd', 'and', { doc: 'The bits that integers (or bools) have in common.' })
export const bitwiseOr = bitwise('bitwiseOr', 'or', { doc: 'The bits of either of two integers (or bools).' })
export const bitwiseXor = bitwise('bitwiseXor', 'xor', { doc: 'The bits in which two integers (or bools) differ.' })

const shift = (name: string, op: 'shl' | 'shr', { doc }: Documented) =>
  binary(name, {
    doc: `${doc} The amount counts modulo 32 (64 for int64).`,
    accepts: ['int'],
    dtype: 'int32',
    secondDomain: [0, 9],
    differentiable: false,
    code: (k, [a, b]) => [k[op](a!, b!)],
  })

export const leftShift = shift('leftShift', 'shl', { doc: 'The bits of a moved up by b.' })
export const rightShift = shift('rightShift', 'shr', { doc: 'The bits of a moved down by b; the sign stays.' })

/** How far apart numbers may be and still count as equal: by `atol` plus `rtol` times the second one's magnitude. */
export interface CloseOptions {
  /** Relative tolerance, by |b|. Default 1e-5. */
  readonly rtol?: number
  /** Absolute tolerance. Default 1e-8. */
  readonly atol?: number
  /** Whether NaN is close to NaN. Default false. */
  readonly equalNaN?: boolean
}

const isClosePrimitive = kernelPrimitive<{ equalNaN: boolean }>({
  name: 'isClose',
  operands: ['promote', 'promote', 'own'],
  compute: (d) => (isFloat(d) ? d : 'float64'),
  differentiable: false,
  code: (k, [a, b, rtol, atol], { equalNaN }) => {
    const type = k.typeOf(a!)
    const slack = k.add(k.cast(atol!, type), k.mul(k.cast(rtol!, type), k.abs(b!)))
    const near = k.and(k.le(k.abs(k.sub(a!, b!)), slack), k.lt(k.abs(b!), k.like(b!, Number.POSITIVE_INFINITY)))
    const close = k.or(k.eq(a!, b!), near)
    return [equalNaN ? k.or(close, k.and(k.isNaN(a!), k.isNaN(b!))) : close]
  },
})

export const isClose = define({
  name: 'isClose',
  doc: 'Whether |a - b| <= atol + rtol * |b|.',
  call: <A extends Shape, const B extends Shape = []>(
    a: Tensor<A>,
    b: ScalarLike | Checked<Broadcast<A, B>, Tensor<B>>,
    { rtol = 1e-5, atol = 1e-8, equalNaN = false }: CloseOptions = {},
  ) => {
    const tolerances = [new Scalar(rtol, 'float64'), new Scalar(atol, 'float64')]
    return bind1(isClosePrimitive, [...toInputs([a, b as Tensor | ScalarLike]), ...tolerances], { equalNaN }) as Tensor<
      Result<Broadcast<A, B>>
    >
  },
  samples: () => [
    { args: [sampleTensor([3, 5]), sampleTensor([5])] },
    { args: [sampleTensor([3, 5]), sampleTensor([3, 5]), { rtol: 0.5, atol: 0.1 }] },
    { args: [sampleTensor([2], { values: [1, Number.NaN] }), sampleTensor([2], { values: [1, Number.NaN] }), { equalNaN: true }] },
    { args: [sampleTensor([]), 1] },
  ],
})

export const allClose = define({
  name: 'allClose',
  doc: 'Whether all elements are close, as one bool; see isClose.',
  call: (a: Tensor, b: Tensor | ScalarLike, options: CloseOptions = {}): Tensor<[]> => all(isClose(a, b, options)) as Tensor<[]>,
  samples: () => [
    { args: [sampleTensor([3, 5]), sampleTensor([3, 5])] },
    { args: [sampleTensor([4], { values: [1, 2, 3, 4] }), sampleTensor([4], { values: [1, 2, 3, 4] })] },
  ],
})

export const equal = define({
  name: 'equal',
  doc: 'Whether two tensors have the same shape and equal elements, as one bool.',
  call: (a: Tensor, b: Tensor): Tensor<[]> => (sameShape(a.shape, b.shape) ? all(eq(a, b)) : full([], false)) as Tensor<[]>,
  samples: () => [
    { args: [sampleTensor([3]), sampleTensor([3])] },
    { args: [sampleTensor([2], { values: [1, 2] }), sampleTensor([2], { values: [1, 2] })] },
    { args: [sampleTensor([3]), sampleTensor([2])], gradient: 'none' },
  ],
})

type Module = typeof import('./comparison.ts')

type ComparisonName =
  | 'eq'
  | 'ne'
  | 'lt'
  | 'le'
  | 'gt'
  | 'ge'
  | 'logicalAnd'
  | 'logicalOr'
  | 'logicalXor'
  | 'bitwiseAnd'
  | 'bitwiseOr'
  | 'bitwiseXor'
  | 'leftShift'
  | 'rightShift'

/** Comparisons, as methods of the first operand. */
export interface ComparisonMethods extends SameMethods<Module, ComparisonName, BinaryMethod> {
  isClose<A extends Shape, const B extends Shape = []>(
    this: Tensor<A>,
    other: ScalarLike | Checked<Broadcast<A, B>, Tensor<B>>,
    options?: CloseOptions,
  ): Tensor<Result<Broadcast<A, B>>>
  allClose(other: Tensor | ScalarLike, options?: CloseOptions): Tensor<[]>
  equal(other: Tensor): Tensor<[]>
}
