import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { normal, permutation, uniform } from '../op/random.ts'
import { arange } from '../op/range.ts'
import { where } from '../op/where.ts'
import type { Generator } from '../tensor/generator.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { generatorOf, type RandomSource } from './transform.ts'

/** How evenly two examples are mixed, and how many classes integer labels have. */
export interface MixOptions {
  /** Both parameters of the beta distribution of the mixing ratio. Default 1: uniform. */
  readonly alpha?: number
  /** Number of classes, where labels are integers. */
  readonly classes?: number
}

/** Mixes images [batch, height, width, channels] with others of the batch, and labels likewise: class numbers [batch], or probabilities [batch, classes]. */
export type Mix = (images: Tensor, labels: Tensor, source?: RandomSource) => [images: Tensor, labels: Tensor]

/** Each image is an average of two, and so are their labels (Zhang et al. 2017, https://arxiv.org/abs/1710.09412). */
export const mixUp = (options: MixOptions = {}): Mix =>
  mixed('mixUp', options, (images, others, ratios) => {
    const ratio = ratios.cast(images.dtype).reshape([-1, 1, 1, 1])
    return { images: others.add(images.sub(others).mul(ratio)), ratios }
  })

/** In each image a rectangle of another one, and of its label as much as of its area (Yun et al. 2019, https://arxiv.org/abs/1905.04899). */
export const cutMix = (options: MixOptions = {}): Mix =>
  mixed('cutMix', options, (images, others, ratios, generator) => {
    const [n, h, w] = images.shape as [number, number, number]
    const side = ratios.neg().add(1).sqrt()
    /** First and last pixel of a part around a place, along an axis. */
    const span = (size: number) => {
      const [middle, half] = [uniform([n], { high: size, generator }).floor(), side.mul(size / 2).floor()]
      const [first, end] = [middle.sub(half).clamp({ min: 0 }), middle.add(half).clamp({ max: size })]
      const at = arange(size, { dtype: 'float32' })
      const within = first.unsqueeze(1).le(at).logicalAnd(end.unsqueeze(1).gt(at))
      return { within, length: end.sub(first) }
    }
    const [rows, columns] = [span(h), span(w)]
    const cut = rows.within.reshape([n, h, 1, 1]).logicalAnd(columns.within.reshape([n, 1, w, 1]))
    return {
      images: where(cut, others, images),
      ratios: rows.length
        .mul(columns.length)
        .div(-h * w)
        .add(1),
    }
  })

function mixed(
  op: string,
  { alpha = 1, classes }: MixOptions,
  mix: (images: Tensor, others: Tensor, ratios: Tensor, generator: Generator) => { images: Tensor; ratios: Tensor },
): Mix {
  if (!(alpha > 0)) throw new CotangentError('invalid-argument', { op, message: `alpha is ${alpha}`, hint: 'It must be positive.' })
  return (images, labels, source) => {
    if (images.rank !== 4 || labels.shape[0] !== images.shape[0] || labels.rank < 1 || labels.rank > 2)
      throw new CotangentError('shape-mismatch', {
        op,
        message: 'expected images [batch, height, width, channels] and labels [batch] or [batch, classes]',
        shapes: [images.shape, labels.shape],
        hint: 'Mixing needs a batch: use it behind batch().',
      })
    const generator = generatorOf(source)
    const n = images.shape[0]!
    const soft = probabilities(op, labels, classes)
    const pairing = permutation(n, { generator })
    const ratios = tensor(Float32Array.from({ length: n }, () => beta(alpha, generator)))
    const made = mix(images, images.indexSelect(0, pairing), ratios, generator)
    const ratio = made.ratios.unsqueeze(1)
    const others = soft.indexSelect(0, pairing)
    return [made.images, others.add(soft.sub(others).mul(ratio))]
  }
}

function probabilities(op: string, labels: Tensor, classes: number | undefined): Tensor {
  if (labels.rank === 2) return isFloat(labels.dtype) ? labels : labels.cast('float32')
  if (classes === undefined)
    throw new CotangentError('invalid-argument', {
      op,
      message: 'labels are class numbers, but nothing says how many classes there are',
      hint: 'Give { classes }.',
    })
  return labels.oneHot(classes).cast('float32')
}

/** A number of the beta distribution with both parameters `alpha`, as a quotient of numbers of the gamma distribution. */
function beta(alpha: number, generator: Generator): number {
  if (alpha === 1) return uniform([], { generator }).item()
  const [a, b] = [gamma(alpha, generator), gamma(alpha, generator)]
  return a + b > 0 ? a / (a + b) : 0.5
}

/** A number of the gamma distribution (Marsaglia and Tsang 2000, "A simple method for generating gamma variables"). */
function gamma(alpha: number, generator: Generator): number {
  const u = uniform([2], { dtype: 'float64', generator }).dataSync() as Float64Array
  if (alpha < 1) return gamma(alpha + 1, generator) * u[0]! ** (1 / alpha)
  const d = alpha - 1 / 3
  const x = normal([], { dtype: 'float64', generator }).item()
  const v = (1 + x / Math.sqrt(9 * d)) ** 3
  if (v > 0 && Math.log(u[1]!) < 0.5 * x * x + d - d * v + d * Math.log(v)) return d * v
  return gamma(alpha, generator)
}
