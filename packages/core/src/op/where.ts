import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { type ScalarLike, sampleShapes, toInputs } from './elementwise.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { zero } from './scalar-math.ts'
import { define, defineFunction, type Sample, sampleTensor } from './table.ts'

const wherePrimitive = kernelPrimitive<undefined>({
  name: 'where',
  operands: ['bool', 'promote'],
  code: (k, [condition, a, b]) => [k.select(condition!, a!, b!)],
})

export const where = defineFunction({
  name: 'where',
  doc: 'Elements of a where the condition holds (is not zero), else of b. All three broadcast.',
  call: (condition: Tensor, a: Tensor | ScalarLike, b: Tensor | ScalarLike): Tensor => {
    // Numbers take their dtype from the other choice, not from the condition.
    const choices = a instanceof Tensor || b instanceof Tensor ? toInputs([a, b]) : toInputs([condition, a, b]).slice(1)
    return bind1(wherePrimitive, [condition, ...choices], undefined)
  },
  samples: () => {
    const condition = (shape: Shape) => sampleTensor(shape, { dtype: 'bool', low: 0, high: 2 })
    return [
      { args: [condition([3, 5]), sampleTensor([3, 5]), sampleTensor([3, 5])] },
      { args: [condition([4, 1]), sampleTensor([3]), sampleTensor([2, 1, 1])] },
      { args: [condition([3]), sampleTensor([3]), 0] },
      { args: [condition([0, 3]), sampleTensor([3]), -1] },
    ]
  },
})

/** The bounds; one of them may be missing. */
export interface ClampOptions<B = number | Tensor> {
  /** Lower bounds; none, if not given. */
  readonly min?: B
  /** Upper bounds; they win where they are below the lower ones. */
  readonly max?: B
}

const clampPrimitive = kernelPrimitive<{ min: boolean; max: boolean }>({
  name: 'clamp',
  accepts: ['int', 'float'],
  code: (k, [x, ...bounds], attrs) => {
    const given = [...bounds]
    const raised = attrs.min ? k.max(x!, given.shift()!) : x!
    return [attrs.max ? k.min(raised, given.shift()!) : raised]
  },
  adjoint: (k, [g], [x, ...bounds], _, attrs) => {
    const given = [...bounds]
    const never = k.constant('bool', false)
    const min = attrs.min ? given.shift() : undefined
    const max = attrs.max ? given.shift() : undefined
    const crossed = min !== undefined && max !== undefined ? k.gt(min, max) : never
    const above = max === undefined ? never : k.or(k.gt(x!, max), crossed)
    const below = min === undefined ? never : k.and(k.lt(x!, min), k.not(above))
    const where = (condition: typeof never) => k.select(condition, g!, zero(k, g!))
    return [where(k.not(k.or(above, below))), ...(min === undefined ? [] : [where(below)]), ...(max === undefined ? [] : [where(above)])]
  },
})

export const clamp = define({
  name: 'clamp',
  doc: 'x raised to at least min and lowered to at most max (numbers or tensors); the gradient passes between and at the bounds.',
  call: <S extends Shape>(x: Tensor<S>, { min, max }: ClampOptions): Tensor<S> => {
    const bounds = [min, max].filter((b) => b !== undefined)
    if (bounds.length === 0)
      throw new CotangentError('invalid-argument', { op: 'clamp', message: 'needs min, max or both', hint: 'Pass { min } or { max }.' })
    const inputs = bounds.map((b) => (typeof b === 'number' ? Scalar.beside(b, x.dtype) : b))
    return bind1(clampPrimitive, [x, ...inputs], { min: min !== undefined, max: max !== undefined }) as Tensor<S>
  },
  samples: (): Sample[] => [
    ...sampleShapes.map((shape) => ({ args: [sampleTensor(shape), { min: -0.7, max: 1.1 }] })),
    { args: [sampleTensor([3, 5]), { max: 0.3 }] },
    { args: [sampleTensor([3, 5]), { min: sampleTensor([5]), max: sampleTensor([3, 1]) }] },
  ],
})

/** Bounds element by element, as methods. */
export interface WhereMethods<S extends Shape> {
  clamp(bounds: ClampOptions<number>): Tensor<S>
  clamp(bounds: ClampOptions): Tensor
}
