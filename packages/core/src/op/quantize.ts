import { type DType, dtypeInfo, isFloat, isInt, toFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { normalizeAxis, type Shape } from '../layout.ts'
import { withByteProducts } from '../routines.ts'
import { bind1, type Input } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { one, zero } from './scalar-math.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** Dtypes of quantised numbers. */
export type QuantizedDType = 'int8' | 'uint8' | 'int32'

/** A quantised number q stands for `(q - zeroPoint) * scale`. */
export interface QuantizationParams {
  /** The distance of neighbouring numbers, positive. A number, or, with `axis`, one for each place on it: `[channels]`. */
  readonly scale: number | Tensor
  /** The integer that stands for 0. Default 0. A number, or, with `axis`, one for each place on it: `[channels]`. */
  readonly zeroPoint?: number | Tensor
  /** The axis that scale and zero point go along, where they are tensors of several numbers: that of the channels. */
  readonly axis?: number
}

/** Scales and zero points, and the dtype and range of quantised numbers. */
export interface QuantizeOptions extends QuantizationParams {
  /** Default `int8`. */
  readonly dtype?: QuantizedDType
  /** Least integer that is used. Default: what the dtype has. */
  readonly min?: number
  /** Largest integer that is used. Default: what the dtype has. */
  readonly max?: number
}

/** Scales and zero points, and the dtype of the result. */
export interface DequantizeOptions extends QuantizationParams {
  /** A float dtype, default `float32`. */
  readonly dtype?: DType
}

interface Bounds {
  readonly min: number
  readonly max: number
}

/** The integer that `x` is rounded to, ties to even, before it is clamped. */
const nearest = (k: KernelBuilder, x: Value, scale: Value, zeroPoint: Value): Value =>
  k.add(k.round(k.mul(x, k.div(one(k, scale), scale))), zeroPoint)

const clamped = (k: KernelBuilder, q: Value, { min, max }: Bounds): Value => k.min(k.max(q, k.like(q, min)), k.like(q, max))

const quantizePrimitive = withByteProducts(
  kernelPrimitive<Bounds & { readonly dtype: QuantizedDType }>({
    name: 'quantize',
    compute: toFloat,
    differentiable: false,
    code: (k, [x, scale, zeroPoint], attrs) => [k.narrow(clamped(k, nearest(k, x!, scale!, zeroPoint!), attrs), attrs.dtype)],
    result: (_, { dtype }) => dtype,
  }),
)

const dequantizePrimitive = withByteProducts(
  kernelPrimitive<{ readonly dtype: DType }>({
    name: 'dequantize',
    operands: ['own', 'promote', 'own'],
    compute: (_, { dtype }) => dtype,
    code: (k, [q, scale, zeroPoint]) => [k.mul(k.cast(k.sub(q!, zeroPoint!), k.typeOf(scale!)), scale!)],
    result: (_, { dtype }) => dtype,
  }),
)

const fakeQuantizePrimitive = kernelPrimitive<Bounds>({
  name: 'fakeQuantize',
  compute: toFloat,
  code: (k, [x, scale, zeroPoint], attrs) => [k.mul(k.sub(clamped(k, nearest(k, x!, scale!, zeroPoint!), attrs), zeroPoint!), scale!)],
  adjoint(k, [g], [x, scale, zeroPoint], _, { min, max }) {
    const q = nearest(k, x!, scale!, zeroPoint!)
    return [k.select(k.and(k.ge(q, k.like(q, min)), k.le(q, k.like(q, max))), g!, zero(k, g!))]
  },
})

/** Scale or zero point, so that it broadcasts against `x`. */
function paramOf(
  value: number | Tensor,
  dtype: DType,
  { op, name, x, axis }: { op: string; name: string; x: Tensor; axis: number | undefined },
): Input {
  if (!(value instanceof Tensor)) return new Scalar(value, dtype)
  if (axis === undefined) {
    if (value.size === 1) return value.reshape([]).cast(dtype)
  } else {
    const at = normalizeAxis(op, axis, x.rank)
    const size = x.shape[at]!
    if (value.rank === 1 && value.shape[0] === size) return value.reshape(x.shape.map((_, i) => (i === at ? size : 1))).cast(dtype)
  }
  throw new CotangentError('shape-mismatch', {
    op,
    message:
      axis === undefined ? `${name} has ${value.size} numbers and there is no axis` : `${name} has another shape than the axis needs`,
    shapes: [x.shape, value.shape],
    hint: axis === undefined ? 'Say which axis they go along: { axis }.' : `Axis ${axis} needs one number for each place on it.`,
  })
}

function checkParams(op: string, { scale, zeroPoint = 0 }: QuantizationParams, { min, max }: Bounds): void {
  const fail = (message: string, hint: string) => new CotangentError('invalid-argument', { op, message, hint })
  if (typeof scale === 'number' && !(scale > 0 && scale < Infinity)) throw fail(`scale is ${scale}`, 'It must be positive and finite.')
  if (!(Number.isInteger(min) && Number.isInteger(max) && min < max))
    throw fail(`no integers from ${min} to ${max}`, 'Give integers, min < max.')
  if (typeof zeroPoint === 'number' && !(Number.isInteger(zeroPoint) && zeroPoint >= min && zeroPoint <= max))
    throw fail(`zeroPoint is ${zeroPoint}`, `It must be an integer from ${min} to ${max}.`)
  if (zeroPoint instanceof Tensor && isFloat(zeroPoint.dtype))
    throw fail(`zeroPoint has dtype ${zeroPoint.dtype}`, "Use zeroPoint.cast('int32').")
}

/** The bounds, within what the dtype has. */
function boundsOf(op: string, { dtype = 'int8', min, max }: QuantizeOptions): Bounds & { dtype: QuantizedDType } {
  if (dtype !== 'int8' && dtype !== 'uint8' && dtype !== 'int32') {
    throw new CotangentError('dtype-mismatch', {
      op,
      message: `numbers are not quantised to ${String(dtype)}`,
      hint: 'Use int8, uint8 or int32.',
    })
  }
  const info = dtypeInfo[dtype]
  const bounds = { dtype, min: min ?? info.min, max: max ?? info.max }
  if (bounds.min < info.min || bounds.max > info.max) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${dtype} has no integers from ${bounds.min} to ${bounds.max}`,
      hint: `It has those from ${info.min} to ${info.max}.`,
    })
  }
  return bounds
}

function inputsOf(op: string, x: Tensor, { scale, zeroPoint = 0, axis }: QuantizationParams, dtype: DType, zeroDType: DType): Input[] {
  return [x, paramOf(scale, dtype, { op, name: 'scale', x, axis }), paramOf(zeroPoint, zeroDType, { op, name: 'zeroPoint', x, axis })]
}

/** Of scales: float64 where the numbers are, else float32. */
const wide = (dtype: DType): DType => (dtype === 'float64' ? 'float64' : 'float32')

const perChannel = {
  scale: sampleTensor([3], { low: 0.05, high: 0.2, dtype: 'float32' }),
  zeroPoint: sampleTensor([3], { dtype: 'int32' }),
  axis: 1,
}

export const quantize = defineFunction({
  name: 'quantize',
  doc: 'Numbers as integers: round(x / scale) + zeroPoint, ties to even, clamped to [min, max]; NaN gives 0. Per tensor, or per channel along `axis`. Has no gradient: see fakeQuantize.',
  call: <S extends Shape>(x: Tensor<S>, options: QuantizeOptions): Tensor<S> => {
    const bounds = boundsOf('quantize', options)
    checkParams('quantize', options, bounds)
    const dtype = wide(x.dtype)
    return bind1(quantizePrimitive, inputsOf('quantize', x as unknown as Tensor, options, dtype, dtype), bounds) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([4, 3]), { scale: 0.02 }] },
    { args: [sampleTensor([0, 3]), { scale: 0.02 }] },
    { args: [sampleTensor([]), { scale: 0.1, zeroPoint: 100, dtype: 'uint8' }] },
    { args: [sampleTensor([2, 3, 5]), { ...perChannel, min: -10, max: 10 }], gradient: 'none' },
  ],
})

export const dequantize = defineFunction({
  name: 'dequantize',
  doc: 'What quantised integers stand for: (q - zeroPoint) * scale. Per tensor, or per channel along `axis`; the scale has a gradient.',
  call: <S extends Shape>(q: Tensor<S>, options: DequantizeOptions): Tensor<S> => {
    const { dtype = 'float32' } = options
    if (!isInt(q.dtype) || q.dtype === 'int64' || !isFloat(dtype)) {
      throw new CotangentError('dtype-mismatch', {
        op: 'dequantize',
        message: 'integers of at most 32 bits become floats',
        dtypes: [q.dtype, dtype],
        hint: 'Make the integers with quantize(), or cast them.',
      })
    }
    checkParams('dequantize', options, dtypeInfo.int32)
    return bind1(dequantizePrimitive, inputsOf('dequantize', q as unknown as Tensor, options, wide(dtype), 'int32'), { dtype }) as Tensor<S>
  },
  samples: () => [
    { args: [sampleTensor([4, 3], { dtype: 'int8' }), { scale: 0.5 }] },
    { args: [sampleTensor([0, 3], { dtype: 'int32' }), { scale: 0.5 }] },
    { args: [sampleTensor([2, 3, 5], { dtype: 'uint8' }), { scale: sampleTensor([3]), zeroPoint: 3, axis: 1, dtype: 'float64' }] },
  ],
})

export const fakeQuantize = defineFunction({
  name: 'fakeQuantize',
  doc: 'The float that quantize and dequantize make of x, for training. The gradient is straight-through: it passes where x is within [min, max] and is 0 elsewhere; scale and zero point have none.',
  call: <S extends Shape>(x: Tensor<S>, options: QuantizeOptions): Tensor<S> => {
    const { min, max } = boundsOf('fakeQuantize', options)
    checkParams('fakeQuantize', options, { min, max })
    const dtype = wide(x.dtype)
    const inputs = inputsOf('fakeQuantize', x as unknown as Tensor, options, dtype, dtype)
    return (bind1(fakeQuantizePrimitive, inputs, { min, max }) as Tensor<S>).cast(toFloat(x.dtype))
  },
  samples: () => [
    { args: [sampleTensor([4, 3]), { scale: 0.02 }], gradient: 'none' },
    { args: [sampleTensor([0, 3]), { scale: 0.02 }], gradient: 'none' },
    { args: [sampleTensor([2, 3, 5]), { ...perChannel, dtype: 'uint8', zeroPoint: 9 }], gradient: 'none' },
  ],
})
