import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { normal as drawNormal, tensor, truncatedNormal, uniform as drawUniform } from '../op/index.ts'
import type { Generator } from '../tensor/generator.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'

/*
 * Initial values: each function fills a tensor (a parameter too) in place and returns it. Weights are laid out as this
 * library's layers have them, [...kernel, in, out], so that the last two axes tell the fans.
 */

/** Where the random numbers of an initialisation come from. */
export interface InitOptions {
  /** Default: the one that `manualSeed` seeds. */
  readonly generator?: Generator
}

/** What follows a layer; see `calculateGain`. */
export type Nonlinearity = 'linear' | 'sigmoid' | 'tanh' | 'relu' | 'leakyRelu' | 'selu'

/** How many inputs each output sums over (`in`), and how many outputs each input goes to (`out`). */
export function fans(shape: Shape): { in: number; out: number } {
  if (shape.length < 2) {
    throw new CotangentError('shape-mismatch', {
      op: 'init',
      message: 'fan-in and fan-out need at least two axes',
      shapes: [shape],
      hint: 'Use uniform() or constant() for biases.',
    })
  }
  const field = shape.slice(0, -2).reduce((a, b) => a * b, 1)
  return { in: field * shape.at(-2)!, out: field * shape.at(-1)! }
}

/** The factor by which a nonlinearity's inputs must be scaled to keep their variance, as PyTorch has it. */
export function calculateGain(nonlinearity: Nonlinearity, negativeSlope = 0.01): number {
  switch (nonlinearity) {
    case 'linear':
    case 'sigmoid':
      return 1
    case 'tanh':
      return 5 / 3
    case 'relu':
      return Math.SQRT2
    case 'leakyRelu':
      return Math.sqrt(2 / (1 + negativeSlope ** 2))
    case 'selu':
      return 3 / 4
    default:
      throw new CotangentError('invalid-argument', {
        op: 'calculateGain',
        message: `there is no gain for '${String(nonlinearity)}'`,
        hint: 'Use the name of an activation, e.g. relu, tanh or linear.',
      })
  }
}

const set = <T extends Tensor>(x: T, value: Tensor | number): T => noGrad(() => x.assign(value))

/** float64 stays; narrow floats are drawn as float32 and rounded by `assign`. */
const drawn = (x: Tensor, { generator }: InitOptions) => ({
  dtype: x.dtype === 'float64' ? ('float64' as const) : ('float32' as const),
  ...(generator && { generator }),
})

/** Evenly distributed in [low, high), by default [0, 1). */
export function uniform<T extends Tensor>(x: T, options: InitOptions & { readonly low?: number; readonly high?: number } = {}): T {
  const { low = 0, high = 1 } = options
  return set(x, drawUniform(x.shape as Shape, { low, high, ...drawn(x, options) }))
}

/** Normally distributed, by default with mean 0 and standard deviation 1. */
export function normal<T extends Tensor>(x: T, options: InitOptions & { readonly mean?: number; readonly std?: number } = {}): T {
  const { mean = 0, std = 1 } = options
  return set(x, drawNormal(x.shape as Shape, { mean, std, ...drawn(x, options) }))
}

/** Normally distributed within [low, high], by default [-2, 2] whatever the standard deviation, as in PyTorch. */
export function truncNormal<T extends Tensor>(
  x: T,
  options: InitOptions & { readonly mean?: number; readonly std?: number; readonly low?: number; readonly high?: number } = {},
): T {
  const { mean = 0, std = 1, low = -2, high = 2 } = options
  return set(x, truncatedNormal(x.shape as Shape, { mean, std, low, high, ...drawn(x, options) }))
}

/** Fills a parameter with a number, in place; returns it. */
export function constant<T extends Tensor>(x: T, value: number): T {
  return set(x, value)
}

/** Fills a parameter with 0, in place. */
export const zeros = <T extends Tensor>(x: T): T => constant(x, 0)
/** Fills a parameter with 1, in place. */
export const ones = <T extends Tensor>(x: T): T => constant(x, 1)

/** The identity matrix, cut or filled up with zeros to the shape. */
export function eye<T extends Tensor>(x: T): T {
  const [rows, columns] = x.shape
  if (x.rank !== 2)
    throw new CotangentError('shape-mismatch', {
      op: 'eye',
      message: 'needs a matrix',
      shapes: [x.shape],
      hint: 'Use dirac() for convolution weights.',
    })
  return fill(x, (set) => {
    for (let i = 0; i < Math.min(rows!, columns!); i++) set([i, i])
  })
}

/** A convolution weight `[...kernel, in / groups, out]` that hands on as many channels of each group as it can. */
export function dirac<T extends Tensor>(x: T, { groups = 1 }: { readonly groups?: number } = {}): T {
  const kernel = x.shape.slice(0, -2)
  const [channels, out] = x.shape.slice(-2) as [number, number]
  if (x.rank < 3 || x.rank > 5 || out % groups !== 0) {
    throw new CotangentError('shape-mismatch', {
      op: 'dirac',
      message: `needs a convolution weight with output channels in ${groups} groups`,
      shapes: [x.shape],
      hint: 'Weights are [...kernel, in, out]; out must be a multiple of groups.',
    })
  }
  const centre = kernel.map((n) => Math.floor(n / 2))
  const perGroup = out / groups
  return fill(x, (set) => {
    for (let group = 0; group < groups; group++)
      for (let c = 0; c < Math.min(perGroup, channels); c++) set([...centre, c, group * perGroup + c])
  })
}

/** Zeros, with ones where `place` puts them. */
function fill<T extends Tensor>(x: T, place: (set: (index: readonly number[]) => void) => void): T {
  const values = new Float32Array(x.size)
  place((index) => (values[index.reduce((at, i, axis) => at * x.shape[axis]! + i, 0)] = 1))
  return set(x, tensor(values, { shape: x.shape }))
}

/** Glorot and Bengio (2010): uniform with standard deviation gain * sqrt(2 / (fan-in + fan-out)). */
export function xavierUniform<T extends Tensor>(x: T, options: InitOptions & { readonly gain?: number } = {}): T {
  const bound = Math.sqrt(3) * xavierStd(x, options)
  return uniform(x, { ...options, low: -bound, high: bound })
}

/** Glorot and Bengio (2010): normal with standard deviation gain * sqrt(2 / (fan-in + fan-out)). */
export function xavierNormal<T extends Tensor>(x: T, options: InitOptions & { readonly gain?: number } = {}): T {
  return normal(x, { ...options, std: xavierStd(x, options) })
}

function xavierStd(x: Tensor, { gain = 1 }: { readonly gain?: number }): number {
  const fan = fans(x.shape)
  return gain * Math.sqrt(2 / (fan.in + fan.out))
}

/** Which variance He's initialisation keeps, and behind which nonlinearity. */
export interface KaimingOptions extends InitOptions {
  /** Which side keeps its variance: `in` (default) forward, `out` backward. */
  readonly mode?: 'in' | 'out'
  /** Default `leakyRelu` with negativeSlope 0, which is relu. */
  readonly nonlinearity?: Nonlinearity
  readonly negativeSlope?: number
}

/** He et al., arXiv:1502.01852: uniform with standard deviation gain / sqrt(fan). */
export function kaimingUniform<T extends Tensor>(x: T, options: KaimingOptions = {}): T {
  const bound = Math.sqrt(3) * kaimingStd(x, options)
  return uniform(x, { ...options, low: -bound, high: bound })
}

/** He et al., arXiv:1502.01852: normal with standard deviation gain / sqrt(fan). */
export function kaimingNormal<T extends Tensor>(x: T, options: KaimingOptions = {}): T {
  return normal(x, { ...options, std: kaimingStd(x, options) })
}

function kaimingStd(x: Tensor, { mode = 'in', nonlinearity = 'leakyRelu', negativeSlope = 0 }: KaimingOptions): number {
  return calculateGain(nonlinearity, negativeSlope) / Math.sqrt(fans(x.shape)[mode])
}

/**
 * Orthonormal columns (or rows, where there are fewer) of the matrix that all axes but the last make with the last, times
 * gain. Saxe et al., arXiv:1312.6120. Computed in JavaScript with O(rows * columns * min) steps.
 */
export function orthogonal<T extends Tensor>(x: T, options: InitOptions & { readonly gain?: number } = {}): T {
  if (x.rank < 2)
    throw new CotangentError('shape-mismatch', {
      op: 'orthogonal',
      message: 'needs at least two axes',
      shapes: [x.shape],
      hint: 'Use another initialiser for biases and scales.',
    })
  const columns = x.shape.at(-1)!
  const rows = columns === 0 ? 0 : x.size / columns
  const [count, length] = rows < columns ? [rows, columns] : [columns, rows]
  const draws = drawNormal([count, length], {
    dtype: 'float64',
    ...(options.generator && { generator: options.generator }),
  }).dataSync() as Float64Array
  const vectors = Array.from({ length: count }, (_, i) => draws.slice(i * length, (i + 1) * length))
  orthonormalize(vectors)
  const gain = options.gain ?? 1
  const values = Float64Array.from({ length: x.size }, (_, i) => {
    const [row, column] = [Math.floor(i / columns), i % columns]
    return gain * (rows < columns ? vectors[row]![column]! : vectors[column]![row]!)
  })
  return set(x, tensor(values, { shape: x.shape }))
}

/** Gram-Schmidt, twice over, which is as good as Householder's reflections. */
function orthonormalize(vectors: readonly Float64Array[]): void {
  const dot = (a: Float64Array, b: Float64Array): number => a.reduce((sum, v, i) => sum + v * b[i]!, 0)
  vectors.forEach((v, i) => {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const share = dot(v, vectors[j]!)
        for (let n = 0; n < v.length; n++) v[n]! -= share * vectors[j]![n]!
      }
    }
    const length = Math.sqrt(dot(v, v))
    for (let n = 0; n < v.length; n++) v[n]! /= length
  })
}

/** Normally distributed with `sparsity` of each column zero. Martens (2010). */
export function sparse<T extends Tensor>(x: T, sparsity: number, options: InitOptions & { readonly std?: number } = {}): T {
  if (x.rank !== 2)
    throw new CotangentError('shape-mismatch', { op: 'sparse', message: 'needs a matrix', shapes: [x.shape], hint: 'Reshape it first.' })
  const { std = 0.01 } = options
  const [rows, columns] = x.shape as [number, number]
  const settings = drawn(x, options)
  const rank = drawUniform([rows, columns], settings).argSort({ axis: 0 }).argSort({ axis: 0 })
  return set(x, drawNormal([rows, columns], { std, ...settings }).maskedFill(rank.lt(Math.ceil(sparsity * rows)), 0))
}
