import type { DType } from '../dtype.ts'
import { checkDType, dtypeInfo } from '../dtype.ts'
import type { Engine } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import { checkShape, type Shape, sizeOf, spec } from '../layout.ts'
import type { DataShape, Mutable } from '../shape-types.ts'
import { bind } from '../tensor/bind.ts'
import { flatten, type Element, type Nested, toRaw } from '../tensor/elements.ts'
import { modes } from '../tensor/modes.ts'
import { fromRawData } from '../tensor/raw-data.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { define, sampleTensor } from './table.ts'

/** Dtype of a new tensor, and whether gradients are recorded for it. */
export interface CreationOptions {
  readonly dtype?: DType
  /** Whether gradients are recorded for it. Default false. */
  readonly requiresGrad?: boolean
}

/** The plain typed arrays and the dtype that each of them means. */
const arrayDTypes: readonly (readonly [new (n: number) => ArrayLike<Element>, DType])[] = [
  [Float32Array, 'float32'],
  [Float64Array, 'float64'],
  [Int32Array, 'int32'],
  [Int8Array, 'int8'],
  [Uint8Array, 'uint8'],
  [Uint8ClampedArray, 'uint8'],
  [BigInt64Array, 'int64'],
]

/**
 * A tensor from a number, nested arrays, or a typed array (with `shape`; default one axis).
 *
 * Without `dtype`: numbers give float32, booleans bool, bigints int64, a typed array its own.
 */
export function tensor<const S extends Shape>(
  data: Nested<Element> | ArrayLike<Element>,
  options: CreationOptions & { readonly shape: S },
): Tensor<Mutable<S>>
export function tensor<const T extends Nested<Element> | ArrayLike<Element>>(data: T, options?: CreationOptions): Tensor<DataShape<T>>
export function tensor(data: Nested<Element> | ArrayLike<Element>, options: CreationOptions & { readonly shape?: Shape } = {}): Tensor {
  const isTyped = ArrayBuffer.isView(data)
  const { shape: own, values } = isTyped
    ? { shape: [(data as unknown as ArrayLike<Element>).length], values: data as unknown as ArrayLike<Element> }
    : flatten(data as Nested<Element>)
  const shape = options.shape ?? own
  checkShape('tensor', shape)
  if (sizeOf(shape) !== values.length) {
    throw new CotangentError('shape-mismatch', {
      op: 'tensor',
      message: `${values.length} values do not fill [${shape.join(', ')}]`,
      shapes: [shape],
      hint: 'Give as many values as the sizes multiply to.',
    })
  }
  const dtype = options.dtype ?? guessDType(data as Nested<Element>, values)
  checkDType(dtype, 'tensor')
  const direct = isTyped && data.constructor === dtypeInfo[dtype].array && dtype !== 'float16' && dtype !== 'bfloat16'
  return fromRawData(direct ? (data as never) : toRaw(values, dtype), shape, dtype, options.requiresGrad)
}

function guessDType(data: Nested<Element>, values: ArrayLike<Element>): DType {
  const typed = arrayDTypes.find(([array]) => (data as unknown) instanceof array)
  if (typed) return typed[1]
  if (values.length === 0) return 'float32'
  const kinds = new Set(Array.from(values, (v) => typeof v))
  if (kinds.has('number')) return 'float32'
  return kinds.has('bigint') ? 'int64' : 'bool'
}

const fullPrimitive = kernelPrimitive<{ shape: Shape }>({
  name: 'full',
  space: (_, attrs) => attrs.shape,
  operands: ['own'],
  compute: (d) => d,
  code: (_, inputs) => inputs,
  differentiable: false,
})

/** A tensor filled with `value`. Without `dtype`: float32 for numbers, bool for booleans, int64 for bigints. */
export function full<const S extends Shape>(shape: S, value: Element, options: CreationOptions = {}): Tensor<Mutable<S>> {
  return filled(shape, value, options) as unknown as Tensor<Mutable<S>>
}

/** On `engine`, where it is not the current one. */
function filled(shape: Shape, value: Element, options: CreationOptions, engine?: Engine): Tensor {
  checkShape('full', shape)
  const dtype = options.dtype ?? (typeof value === 'number' ? 'float32' : typeof value === 'bigint' ? 'int64' : 'bool')
  checkDType(dtype, 'full')
  const own = spec(dtype, shape)
  const into = engine && engine !== currentEngine() ? [new Tensor(own, new Storage(engine, own, 'full'), 0)] : undefined
  return bind(fullPrimitive, [new Scalar(value, dtype)], { shape }, into)[0]!.setRequiresGrad(options.requiresGrad ?? false)
}

/** A tensor of zeros; float32 without `dtype`. */
export const zeros = <const S extends Shape>(shape: S, options?: CreationOptions): Tensor<Mutable<S>> => full(shape, 0, options)

/** A tensor of ones; float32 without `dtype`. */
export const ones = <const S extends Shape>(shape: S, options?: CreationOptions): Tensor<Mutable<S>> => full(shape, 1, options)

export const newFull = define({
  name: 'newFull',
  doc: 'A tensor filled with `value`, with the dtype (unless given) and engine of this one.',
  call: <const S extends Shape>(x: Tensor, shape: S, value: Element, options: CreationOptions = {}) =>
    filled(shape, value, { dtype: x.dtype, ...options }, modes.tracer ? undefined : x.engine) as unknown as Tensor<Mutable<S>>,
  samples: () => [{ args: [sampleTensor([2]), [3, 2], 1.5], gradient: 'none' }],
})

export const fullLike = define({
  name: 'fullLike',
  doc: "A tensor filled with `value`, with this one's shape, dtype (unless given) and engine.",
  call: <S extends Shape>(x: Tensor<S>, value: Element, options: CreationOptions = {}) =>
    newFull(x as Tensor, x.shape as Shape, value, options) as Tensor as Tensor<S>,
  samples: () => [{ args: [sampleTensor([2, 3]), 1.5], gradient: 'none' }],
})

export const zerosLike = define({
  name: 'zerosLike',
  doc: "Zeros with this tensor's shape, dtype (unless given) and engine.",
  call: <S extends Shape>(x: Tensor<S>, options: CreationOptions = {}) => fullLike(x, 0, options),
  samples: () => [
    { args: [sampleTensor([2, 3])], gradient: 'none' },
    { args: [sampleTensor([])], gradient: 'none' },
  ],
})

export const onesLike = define({
  name: 'onesLike',
  doc: "Ones with this tensor's shape, dtype (unless given) and engine.",
  call: <S extends Shape>(x: Tensor<S>, options: CreationOptions = {}) => fullLike(x, 1, options),
  samples: () => [{ args: [sampleTensor([2, 3]), { dtype: 'int32' }], gradient: 'none' }],
})

/** New tensors like this one, as methods. */
export interface CreationMethods<S extends Shape> {
  newFull<const T extends Shape>(shape: T, value: Element, options?: CreationOptions): Tensor<Mutable<T>>
  fullLike(value: Element, options?: CreationOptions): Tensor<S>
  zerosLike(options?: CreationOptions): Tensor<S>
  onesLike(options?: CreationOptions): Tensor<S>
}
