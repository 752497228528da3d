import { checkDType, type DType, isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { broadcastShapes, sameShape, type Shape } from '../layout.ts'
import { bind, bind1, setMakeDense } from '../tensor/bind.ts'
import { defaultGenerator, type Generator } from '../tensor/generator.ts'
import { modes, noGrad } from '../tensor/modes.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { ScalarLike } from './elementwise.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { keyScalars, wordsAt } from './random-key.ts'
import { isRounded, type RoundedDType, roundStochastically } from './stochastic-rounding.ts'
import { define, sampleTensor } from './table.ts'

const copyPrimitive = kernelPrimitive<undefined>({ name: 'copy', operands: ['own'], code: (_, inputs) => inputs, compute: (d) => d })
setMakeDense((x) => bind1(copyPrimitive, [x], undefined))

export const contiguous = define({
  name: 'contiguous',
  doc: 'The tensor itself if its elements are dense in row-major order, else a dense copy.',
  call: <S extends Shape>(x: Tensor<S>) => (x.spec.contiguous ? x : clone(x)),
  samples: () => [{ args: [sampleTensor([2, 3])] }],
})

export const clone = define({
  name: 'clone',
  doc: 'A dense copy, which the gradient passes through.',
  call: <S extends Shape>(x: Tensor<S>) => bind1(copyPrimitive, [x], undefined) as Tensor<S>,
  samples: () => [{ args: [sampleTensor([2, 3])] }, { args: [sampleTensor([])] }, { args: [sampleTensor([0, 3])] }],
})

/** Conversion of dtype; with `shape`, of a scalar repeated to it. */
const castPrimitive = kernelPrimitive<{ dtype: DType; shape?: Shape }>({
  name: 'cast',
  operands: ['own'],
  compute: (_, { dtype }) => dtype,
  code: (k, [x], { dtype }) => [k.narrow(x!, dtype)],
  result: (_, { dtype }) => dtype,
  space: (shapes, { shape }) => shape ?? shapes[0]!,
})

/** How numbers are rounded that the new dtype does not have. */
export interface CastOptions {
  /**
   * How numbers that the dtype does not have are rounded: to the nearest (default, ties to even), or, for bfloat16 and float16,
   * up or down at random so that the mean is right. The gradient is that of no rounding.
   */
  readonly rounding?: 'nearest' | 'stochastic'
  /** Of the random numbers for `stochastic`. Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

const stochasticCastPrimitive = kernelPrimitive<{ dtype: RoundedDType }>({
  name: 'cast',
  random: true,
  operands: ['own'],
  compute: (_, { dtype }) => dtype,
  code: (k, [x, k0, k1, call], { dtype }) => [roundStochastically(k, x!, dtype, wordsAt(k, [k0!, k1!, call!], k.index(0))[0])],
  adjoint: (_, [g]) => [g],
  result: (_, { dtype }) => dtype,
})

function castStochastically(x: Tensor, dtype: DType, generator: Generator): Tensor {
  if (!isRounded(dtype) || !isFloat(x.dtype)) {
    throw new CotangentError('dtype-mismatch', {
      op: 'cast',
      message: 'only floats are rounded at random, and only to bfloat16 or float16',
      dtypes: [x.dtype, dtype],
      hint: "Leave out { rounding: 'stochastic' }.",
    })
  }
  if (x.dtype === dtype) return x
  return bind1(stochasticCastPrimitive, [x.reshape([-1]), ...keyScalars(generator)], { dtype }).reshape(x.shape)
}

export const cast = define({
  name: 'cast',
  doc: 'The same values in another dtype: to integers truncated and saturated to 32 bits (64 for int64), then wrapped; NaN gives 0.',
  call: <S extends Shape>(x: Tensor<S>, dtype: DType, options: CastOptions = {}): Tensor<S> => {
    checkDType(dtype, 'cast')
    const { rounding = 'nearest', generator = defaultGenerator } = options
    if (rounding === 'stochastic') return castStochastically(x as unknown as Tensor, dtype, generator) as unknown as Tensor<S>
    if (rounding !== 'nearest') {
      throw new CotangentError('invalid-argument', {
        op: 'cast',
        message: `there is no rounding '${String(rounding)}'`,
        hint: "Use 'nearest' or 'stochastic'.",
      })
    }
    return x.dtype === dtype ? x : (bind1(castPrimitive, [x], { dtype }) as Tensor<S>)
  },
  samples: () => [{ args: [sampleTensor([2, 3]), 'float64'] }, { args: [sampleTensor([2, 3], { low: -300, high: 300 }), 'int32'] }],
})

/**
 * Writes `value`, cast to the tensor's dtype and broadcast to its shape, into the tensor's own memory, which its views share.
 * Returns the tensor.
 *
 * @throws {CotangentError} `modified-in-place` where a gradient is being recorded for the tensor or the value: the recorded ops
 *   could not tell the old values from the new. Write inside `noGrad`, or use `indexPut`, `where` or `scatter`, which make a new
 *   tensor. `invalid-argument` for a tensor that repeats elements (from `expand`).
 */
export function assign<T extends Tensor>(x: T, value: Tensor | ScalarLike): T {
  if (modes.grad && (x.requiresGrad || (value instanceof Tensor && value.requiresGrad))) {
    throw new CotangentError('modified-in-place', {
      op: 'assign',
      message: x.requiresGrad
        ? (x.isLeaf ? 'a leaf that requires gradients' : 'a tensor with a recorded gradient') + ' cannot be changed in place'
        : 'the gradient of the value would be lost',
      shapes: [x.shape],
      hint: 'Do it inside noGrad(), or make a new tensor with indexPut(), where() or scatter().',
    })
  }
  const { shape, strides } = x.spec
  if (shape.some((n, axis) => n > 1 && strides[axis] === 0)) {
    throw new CotangentError('invalid-argument', {
      op: 'assign',
      message: 'the tensor repeats elements, so a write would show up several times',
      shapes: [shape],
      hint: 'Write into x.contiguous().',
    })
  }
  noGrad(() => {
    if (!(value instanceof Tensor)) {
      bind(castPrimitive, [new Scalar(value, x.dtype)], { dtype: x.dtype, shape }, [x])
      return
    }
    if (!sameShape(broadcastShapes('assign', value.shape, shape), shape)) {
      throw new CotangentError('shape-mismatch', {
        op: 'assign',
        message: `a value of shape [${value.shape}] does not broadcast to the tensor's`,
        shapes: [value.shape, shape],
        hint: "Only the value is broadcast: the tensor's shape stays.",
      })
    }
    const overlaps = !x.isTracer && !value.isTracer && value.storage === x.storage
    const source = overlaps ? value.clone() : value
    bind(castPrimitive, [source.expand(shape)], { dtype: x.dtype }, [x])
  })
  return x
}

Object.defineProperty(Tensor.prototype, 'assign', {
  value(this: Tensor, value: Tensor | ScalarLike) {
    return assign(this, value)
  },
  writable: true,
  configurable: true,
})

/** Copies, casts and assignment, as methods. */
export interface CopyMethods<S extends Shape> {
  contiguous(): Tensor<S>
  clone(): Tensor<S>
  cast(dtype: DType, options?: CastOptions): Tensor<S>
  /** Writes `value`, cast and broadcast, into this tensor's memory, which its views share. Not where gradients are recorded. */
  assign(value: Tensor | ScalarLike): this
}
