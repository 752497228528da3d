import type { DType } from '../dtype.ts'
import { checkDType, dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { currentEngine } from '../engine/registry.ts'
import { checkShape, type Shape, sizeOf, spec } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import { flatten, type Element, type Nested, toRaw } from '../tensor/elements.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { define, sampleTensor } from './table.ts'

export interface CreationOptions {
  readonly dtype?: DType
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
export function tensor(data: Nested<Element> | ArrayLike<Element>, options: CreationOptions & { readonly shape?: Shape } = {}): Tensor {
  const isTyped = ArrayBuffer.isView(data)
  const { shape: own, values } = isTyped ? { shape: [(data as unknown as ArrayLike<Element>).length], values: data as unknown as ArrayLike<Element> } : flatten(data as Nested<Element>)
  const shape = options.shape ?? own
  checkShape('tensor', shape)
  if (sizeOf(shape) !== values.length) {
    throw new CotangentError('shape-mismatch', { op: 'tensor', message: `${values.length} values do not fill [${shape.join(', ')}]`, shapes: [shape] })
  }
  const dtype = options.dtype ?? guessDType(data as Nested<Element>, values)
  checkDType(dtype, 'tensor')
  const direct = isTyped && data.constructor === dtypeInfo[dtype].array && dtype !== 'float16' && dtype !== 'bfloat16'
  return fromRawData(direct ? (data as never) : toRaw(values, dtype), shape, dtype, options)
}

function guessDType(data: Nested<Element>, values: ArrayLike<Element>): DType {
  const typed = arrayDTypes.find(([array]) => (data as unknown) instanceof array)
  if (typed) return typed[1]
  if (values.length === 0) return 'float32'
  const kinds = new Set(Array.from(values, (v) => typeof v))
  if (kinds.has('number')) return 'float32'
  return kinds.has('bigint') ? 'int64' : 'bool'
}

/** A tensor over a copy of `raw`, which holds the dtype's own bit patterns in row-major order. */
export function fromRawData(raw: ReturnType<typeof toRaw>, shape: Shape, dtype: DType, options: CreationOptions = {}): Tensor {
  const engine = currentEngine()
  const storage = new Storage(engine, sizeOf(shape) * dtypeInfo[dtype].size)
  engine.write(storage.buffer, dtype, 0, raw)
  return new Tensor(spec(dtype, shape), storage, 0).setRequiresGrad(options.requiresGrad ?? false)
}

const fullPrimitive = kernelPrimitive<{ shape: Shape }>({ name: 'full', space: (_, attrs) => attrs.shape, operands: ['own'], compute: (d) => d, code: (_, inputs) => inputs, differentiable: false })

/** A tensor filled with `value`. Without `dtype`: float32 for numbers, bool for booleans, int64 for bigints. */
export function full(shape: Shape, value: Element, options: CreationOptions = {}): Tensor {
  checkShape('full', shape)
  const dtype = options.dtype ?? (typeof value === 'number' ? 'float32' : typeof value === 'bigint' ? 'int64' : 'bool')
  checkDType(dtype, 'full')
  return bind1(fullPrimitive, [new Scalar(value, dtype)], { shape }).setRequiresGrad(options.requiresGrad ?? false)
}

export const zeros = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 0, options)
export const ones = (shape: Shape, options?: CreationOptions): Tensor => full(shape, 1, options)

export const newFull = define({
  name: 'newFull',
  doc: 'A tensor filled with `value`, with the dtype (unless given) and engine of this one.',
  call: (x: Tensor, shape: Shape, value: Element, options: CreationOptions = {}) => full(shape, value, { dtype: x.dtype, ...options }),
  samples: () => [{ args: [sampleTensor([2]), [3, 2], 1.5], gradient: 'none' }],
})

export interface CreationMethods {
  newFull(shape: Shape, value: Element, options?: CreationOptions): Tensor
}

