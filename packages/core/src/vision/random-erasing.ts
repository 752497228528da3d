import { CotangentError } from '../errors.ts'
import { full } from '../op/creation.ts'
import { bernoulli, normal } from '../op/random.ts'
import { arange } from '../op/range.ts'
import { where } from '../op/where.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { onBatch } from './images.ts'
import { checkProbability, drawn, generatorOf, type Transform } from './transform.ts'

/** How often a rectangle is erased, its size and shape, and what is left in it. */
export interface RandomErasingOptions {
  /** Default 0.5. */
  readonly p?: number
  /** Smallest and largest part of the image's area. Default [0.02, 0.33]. */
  readonly scale?: readonly [number, number]
  /** Smallest and largest height over width. Default [0.3, 3.3]. */
  readonly ratio?: readonly [number, number]
  /** What is put there: a number on the images' scale, or noise of a normal distribution. Default 0. */
  readonly value?: number | 'random'
}

/** A rectangle of each image is wiped out with probability `p` (Zhong et al. 2017, https://arxiv.org/abs/1708.04896). */
export function randomErasing({ p = 0.5, scale = [0.02, 0.33], ratio = [0.3, 3.3], value = 0 }: RandomErasingOptions = {}): Transform {
  checkProbability('randomErasing', p)
  if (!(scale[0] >= 0 && scale[0] <= scale[1] && scale[1] <= 1 && ratio[0] > 0 && ratio[0] <= ratio[1]))
    throw new CotangentError('invalid-argument', {
      op: 'randomErasing',
      message: `scale ${JSON.stringify(scale)}, ratio ${JSON.stringify(ratio)}`,
      hint: 'Both are [smallest, largest]; areas are parts of 1.',
    })
  return (images, source) =>
    onBatch('randomErasing', images, (x) => {
      const [n, h, w] = x.shape as [number, number, number]
      const area = drawn(n, scale, source).mul(h * w)
      const aspect = drawn(n, [Math.log(ratio[0]), Math.log(ratio[1])], source).exp()
      const chosen = bernoulli(full([n], p), { generator: generatorOf(source) })
      /** Whether each pixel along an axis of `size` is within a length of its own, somewhere. */
      const within = (length: Tensor, size: number): Tensor => {
        const pixels = length.round().clamp({ min: 0, max: size }).unsqueeze(1)
        const start = pixels
          .neg()
          .add(size + 1)
          .mul(drawn(n, [0, 1], source).unsqueeze(1))
          .floor()
        const at = arange(size, { dtype: 'float32' })
        return start.le(at).logicalAnd(start.add(pixels).gt(at))
      }
      const rows = within(area.mul(aspect).sqrt(), h).logicalAnd(chosen.unsqueeze(1)).reshape([n, h, 1, 1])
      const columns = within(area.div(aspect).sqrt(), w).reshape([n, 1, w, 1])
      const wiped = rows.logicalAnd(columns)
      const filling =
        value === 'random' ? normal(x.shape, { generator: generatorOf(source) }).cast(x.dtype) : full([], value, { dtype: x.dtype })
      return where(wiped, filling, x)
    })
}
