import { CotangentError } from '../errors.ts'
import { full } from '../op/creation.ts'
import { bernoulli, uniform } from '../op/random.ts'
import { where } from '../op/where.ts'
import { defaultGenerator, type Generator } from '../tensor/generator.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { asBatch, perImage } from './images.ts'

/** The generator of a random transform. */
export interface RandomSource {
  /** Where random numbers come from. Default: the generator that `manualSeed` seeds. */
  readonly generator?: Generator
}

/**
 * Makes images of images: `[batch, height, width, channels]`, or one `[height, width, channels]`. Random ones draw for each image of
 * a batch anew; what they draw depends on the generator's state only.
 */
export type Transform = (images: Tensor, source?: RandomSource) => Tensor

/** Applies transforms one after the other. */
export const compose =
  (...transforms: readonly Transform[]): Transform =>
  (images, source) =>
    transforms.reduce((x, transform) => transform(x, source), images)

/** Applies a transform that keeps the shape to each image with probability `p`. */
export const randomApply = (transform: Transform, p = 0.5): Transform => {
  checkProbability('randomApply', p)
  return (images, source) =>
    asBatch('randomApply', images, (batch) => {
      const chosen = perImage(bernoulli(full([batch.shape[0]!], p), source)) as Tensor
      const changed = transform(batch, source)
      if (changed.shape.join() !== batch.shape.join())
        throw new CotangentError('shape-mismatch', {
          op: 'randomApply',
          message: 'the transform changes the shape, so images that it is applied to do not fit the others',
          shapes: [batch.shape, changed.shape],
          hint: 'Use it on all images.',
        })
      return where(chosen, changed, batch)
    })
}

export const generatorOf = ({ generator = defaultGenerator }: RandomSource = {}): Generator => generator

/** One number in [low, high) for each of `count` images. */
export const drawn = (count: number, [low, high]: readonly [number, number], source: RandomSource | undefined): Tensor =>
  uniform([count], { low, high, generator: generatorOf(source) })

/** A range around 0, or the range itself. */
export const rangeOf = (value: number | readonly [number, number]): readonly [number, number] =>
  typeof value === 'number' ? [-value, value] : value

export function checkProbability(op: string, p: number): void {
  if (!(p >= 0 && p <= 1))
    throw new CotangentError('invalid-argument', { op, message: `${p} is not a probability`, hint: 'Give a number from 0 to 1.' })
}
