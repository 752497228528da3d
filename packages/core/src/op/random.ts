import { checkDType, type DType, isFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { checkShape, type Shape, sizeOf } from '../layout.ts'
import type { Mutable } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import { defaultGenerator, type Generator } from '../tensor/generator.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { CreationOptions } from './creation.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { type Key, keyScalars, wordsAt } from './random-key.ts'
import { erfinv } from './special.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { normalFrom, uniform24, uniform53 } from './threefry.ts'

/** Dtype, generator and gradient of tensors that are drawn. */
export interface RandomOptions extends CreationOptions {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

const words = (k: KernelBuilder, key: Key): [Value, Value] => wordsAt(k, key, k.index(0))

interface FillAttrs {
  readonly size: number
  readonly dtype: DType
}

/** A kernel that fills a vector from random words and further scalars. */
/* @__NO_SIDE_EFFECTS__ */
function fillPrimitive(
  name: string,
  code: (k: KernelBuilder, key: Key, rest: readonly Value[], dtype: DType) => Value,
): Primitive<FillAttrs> {
  return kernelPrimitive<FillAttrs>({
    name,
    random: true,
    operands: ['own'],
    differentiable: false,
    space: (_, { size }) => [size],
    compute: (_, { dtype }) => dtype,
    code: (k, [k0, k1, call, ...rest], { dtype }) => [code(k, [k0!, k1!, call!], rest, dtype)],
    result: (_, { dtype }) => dtype,
  })
}

const floatType = (dtype: DType) => (dtype === 'float64' ? 'float64' : 'float32')
const unit = (k: KernelBuilder, key: Key, dtype: DType): Value =>
  dtype === 'float64' ? uniform53(k, words(k, key)) : uniform24(k, words(k, key)[0])

const uniformPrimitive = fillPrimitive('uniform', (k, key, [low, high], dtype) =>
  k.add(low!, k.mul(unit(k, key, dtype), k.sub(high!, low!))),
)
const normalPrimitive = fillPrimitive('normal', (k, key, [mean, std], dtype) =>
  k.add(mean!, k.mul(normalFrom(k, words(k, key), floatType(dtype)), std!)),
)
const bitsPrimitive = fillPrimitive('randomBits', (k, key) => words(k, key)[0])
/** Exact for ranges below 2^53: the fraction has 53 bits. */
const intPrimitive = fillPrimitive('randint', (k, key, [low, high], dtype) => {
  const offset = k.floor(k.mul(uniform53(k, words(k, key)), k.sub(high!, low!)))
  return k.cast(k.add(low!, offset), dtype === 'int64' ? 'int64' : 'int32')
})

function fill(primitive: Primitive<FillAttrs>, shape: Shape, dtype: DType, rest: readonly Scalar[], options: RandomOptions): Tensor {
  checkShape(primitive.name, shape)
  const flat = bind1(primitive, [...keyScalars(options.generator ?? defaultGenerator), ...rest], { size: sizeOf(shape), dtype })
  return flat
    .reshape(shape)
    .detach()
    .setRequiresGrad(options.requiresGrad ?? false)
}

function floatDType(op: string, { dtype = 'float32' }: RandomOptions): DType {
  checkDType(dtype, op)
  if (!isFloat(dtype))
    throw new CotangentError('dtype-mismatch', {
      op,
      message: 'draws real numbers',
      dtypes: [dtype],
      hint: 'Use a float dtype, or randint().',
    })
  return dtype
}

const pairOf = (dtype: DType, ...values: number[]) => values.map((v) => new Scalar(v, floatType(dtype)))

export const uniform = defineFunction({
  name: 'uniform',
  doc: 'Random numbers in [low, high), by default [0, 1).',
  random: true,
  call<const S extends Shape>(
    shape: S,
    options: RandomOptions & { readonly low?: number; readonly high?: number } = {},
  ): Tensor<Mutable<S>> {
    const dtype = floatDType('uniform', options)
    return fill(uniformPrimitive, shape, dtype, pairOf(dtype, options.low ?? 0, options.high ?? 1), options) as Tensor<Mutable<S>>
  },
  samples: () => [{ args: [[3, 4]] }, { args: [[]] }, { args: [[0, 2]] }, { args: [[5], { low: -2, high: 3, dtype: 'float64' }] }],
})

export const normal = defineFunction({
  name: 'normal',
  doc: 'Normally distributed numbers of given mean (0) and standard deviation (1).',
  random: true,
  call<const S extends Shape>(
    shape: S,
    options: RandomOptions & { readonly mean?: number; readonly std?: number } = {},
  ): Tensor<Mutable<S>> {
    const dtype = floatDType('normal', options)
    const { mean = 0, std = 1 } = options
    if (!(std >= 0))
      throw new CotangentError('invalid-argument', { op: 'normal', message: `std is ${std}`, hint: 'It must be at least 0.' })
    return fill(normalPrimitive, shape, dtype, pairOf(dtype, mean, std), options) as Tensor<Mutable<S>>
  },
  samples: () => [{ args: [[3, 4]] }, { args: [[]] }, { args: [[7], { mean: 3, std: 0.5, dtype: 'float64' }] }],
})

/** Φ(x), to the accuracy that bounds of a truncated normal need (Abramowitz and Stegun 26.2.17 is coarser). */
function normalCdf(x: number): number {
  const t = Math.abs(x) / Math.SQRT2
  // Continued fraction of erfc for large arguments, power series for small ones.
  if (t > 3) {
    let fraction = 0
    for (let n = 60; n > 0; n--) fraction = n / 2 / (t + fraction)
    const tail = Math.exp(-t * t) / (Math.sqrt(Math.PI) * (t + fraction)) / 2
    return x > 0 ? 1 - tail : tail
  }
  let term = t
  let total = t
  for (let n = 1; Math.abs(term) > 1e-17; n++) {
    term *= (-t * t) / n
    total += term / (2 * n + 1)
  }
  return 0.5 + (Math.sign(x) * total) / Math.sqrt(Math.PI)
}

export const truncatedNormal = defineFunction({
  name: 'truncatedNormal',
  doc: 'Normally distributed numbers within [low, high] (default mean ± 2 std), by inverting the distribution function.',
  random: true,
  call<const S extends Shape>(
    shape: S,
    options: RandomOptions & { readonly mean?: number; readonly std?: number; readonly low?: number; readonly high?: number } = {},
  ): Tensor<Mutable<S>> {
    const { mean = 0, std = 1 } = options
    const { low = mean - 2 * std, high = mean + 2 * std } = options
    const dtype = floatDType('truncatedNormal', options)
    if (!(low < high) || !(std > 0))
      throw new CotangentError('invalid-argument', {
        op: 'truncatedNormal',
        message: `no numbers between ${low} and ${high} with std ${std}`,
        hint: 'The low bound must be below the high one, and std above 0.',
      })
    const from = 2 * normalCdf((low - mean) / std) - 1
    const to = 2 * normalCdf((high - mean) / std) - 1
    const u: Tensor = uniform<Shape>(shape, {
      low: from,
      high: to,
      dtype: dtype === 'float64' ? 'float64' : 'float32',
      ...(options.generator && { generator: options.generator }),
    })
    const x = erfinv(u)
      .mul(std * Math.SQRT2)
      .add(mean)
      .clamp({ min: low, max: high })
      .cast(dtype)
    return x.setRequiresGrad(options.requiresGrad ?? false) as Tensor<Mutable<S>>
  },
  samples: () => [{ args: [[3, 4]] }, { args: [[5], { mean: 1, std: 2, low: 0, high: 2 }] }],
})

export const randint = defineFunction({
  name: 'randint',
  doc: 'Random integers in [low, high), int32 unless told otherwise.',
  random: true,
  call<const S extends Shape>(low: number, high: number, shape: S, options: RandomOptions = {}): Tensor<Mutable<S>> {
    const dtype = options.dtype ?? 'int32'
    checkDType(dtype, 'randint')
    if (!Number.isSafeInteger(low) || !Number.isSafeInteger(high) || low >= high) {
      throw new CotangentError('invalid-argument', {
        op: 'randint',
        message: `there is no integer in [${low}, ${high})`,
        hint: 'Give integers with low < high.',
      })
    }
    const drawn = fill(
      intPrimitive,
      shape,
      dtype === 'int64' ? 'int64' : 'int32',
      [new Scalar(low, 'float64'), new Scalar(high, 'float64')],
      { ...options, requiresGrad: false },
    )
    return drawn.cast(dtype) as Tensor<Mutable<S>>
  },
  samples: () => [{ args: [0, 10, [3, 4]] }, { args: [-5, 5, [7], { dtype: 'int64' }] }],
})

export const bernoulli = defineFunction({
  name: 'bernoulli',
  doc: 'True with probability p, independently at each element of p.',
  random: true,
  call: (p: Tensor, options: RandomOptions = {}): Tensor =>
    uniform(p.shape, { ...(options.generator && { generator: options.generator }) }).lt(p.detach()),
  samples: () => [{ args: [sampleTensor([3, 4], { low: 0, high: 1 })], gradient: 'none' }],
})

export const permutation = defineFunction({
  name: 'permutation',
  doc: 'The integers from 0 to n - 1 in random order.',
  random: true,
  call(n: number, options: RandomOptions = {}): Tensor<[number]> {
    const bits = fill(bitsPrimitive, [n], 'int32', [], { ...options, requiresGrad: false })
    return bits.argSort().cast(options.dtype ?? 'int32') as Tensor<[number]>
  },
  samples: () => [{ args: [10] }, { args: [0] }, { args: [1] }],
})

export const categorical = defineFunction({
  name: 'categorical',
  doc: 'Indices drawn along the last axis of unnormalised log-probabilities, by the Gumbel-max trick; without replacement they are distinct.',
  random: true,
  call(logits: Tensor, options: RandomOptions & { readonly count?: number; readonly replacement?: boolean } = {}): Tensor {
    const { count, replacement = true } = options
    const classes = logits.shape.at(-1) ?? 0
    if (logits.rank === 0 || classes === 0 || (!replacement && (count ?? 1) > classes)) {
      throw new CotangentError('invalid-argument', {
        op: 'categorical',
        message: `cannot draw ${count ?? 1} of ${classes} classes`,
        shapes: [logits.shape],
        hint: 'Draw with replacement, or fewer.',
      })
    }
    const random = options.generator && { generator: options.generator }
    const rows = logits.detach().cast(logits.dtype === 'float64' ? 'float64' : 'float32')
    const gumbel = (shape: Shape) =>
      uniform(shape, { ...random, dtype: rows.dtype })
        .clamp({ min: 2 ** -25 })
        .log()
        .neg()
        .log()
        .neg()
    if (!replacement)
      return rows
        .add(gumbel(rows.shape))
        .argSort({ descending: true })
        .narrow(-1, 0, count ?? 1)
    const lead = rows.shape.slice(0, -1)
    const drawn = rows
      .unsqueeze(-2)
      .add(gumbel([...lead, count ?? 1, classes]))
      .argmax(-1)
    return count === undefined ? drawn.squeeze(-1) : drawn
  },
  samples: () => [
    { args: [sampleTensor([3, 4])], gradient: 'none' },
    { args: [sampleTensor([4]), { count: 3, replacement: false }], gradient: 'none' },
  ],
})
