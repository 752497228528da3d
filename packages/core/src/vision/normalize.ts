import { isFloat, toFloat as toFloatType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { tensor } from '../op/creation.ts'
import { kernelPrimitive } from '../op/kernel-op.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { asBytes, onBatch, whiteOf } from './images.ts'

/** Floats from 0 to 1 of uint8 images; floats stay as they are. */
export const toFloat = (images: Tensor): Tensor => onBatch('toFloat', images, (x) => (isFloat(x.dtype) ? x : x.div(whiteOf(x))))

/** uint8 from 0 to 255 of float images, rounded; what is out of range is cut off. */
export const toBytes = (images: Tensor): Tensor => onBatch('toBytes', images, (x) => (isFloat(x.dtype) ? asBytes(x, 1) : x))

const scaleAndShift = kernelPrimitive<undefined>({
  name: 'scaleAndShift',
  code: (k, [x, scale, shift]) => [k.add(k.mul(x!, scale!), shift!)],
})

/** What is subtracted from each channel, and what it is divided by. */
export interface NormalizeOptions {
  /** One number a channel, or one for all. */
  readonly mean: number | readonly number[]
  readonly std: number | readonly number[]
}

/** What ImageNet's images have on average, which most pretrained models expect. */
export const imagenetStatistics: NormalizeOptions = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] }

/** (x - mean) / std of each channel; uint8 images become floats from 0 to 1 first. */
export const normalize = (images: Tensor, { mean, std }: NormalizeOptions = imagenetStatistics): Tensor =>
  onBatch('normalize', images, (x) => {
    const [width, channels] = x.shape.slice(2) as [number, number]
    const listOf = (values: number | readonly number[]) => {
      const list = typeof values === 'number' ? new Array<number>(channels).fill(values) : values
      if (list.length === channels) return list
      throw new CotangentError('shape-mismatch', {
        op: 'normalize',
        message: `${list.length} numbers for ${channels} channels`,
        shapes: [images.shape],
        hint: 'Give one number, or one a channel.',
      })
    }
    const [means, deviations] = [listOf(mean), listOf(std)]
    if (deviations.includes(0))
      throw new CotangentError('invalid-argument', {
        op: 'normalize',
        message: 'std is 0',
        hint: 'A channel that never changes needs no scaling: use 1.',
      })
    const dtype = toFloatType(x.dtype)
    // Rows of pixels as one axis: three numbers in turn are slower than a row of them.
    const row = (values: readonly number[]) =>
      tensor(values, { dtype })
        .expand([width, channels])
        .reshape([width * channels])
    const scale = row(deviations.map((deviation) => 1 / (whiteOf(x) * deviation)))
    const shift = row(means.map((value, channel) => -value / deviations[channel]!))
    return bind1(scaleAndShift, [x.flatten(2), scale, shift], undefined).reshape(x.shape)
  })
