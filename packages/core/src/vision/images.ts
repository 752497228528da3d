import { isFloat } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { unaryPrimitive } from '../op/elementwise.ts'
import { bind1 } from '../tensor/bind.ts'
import { Scalar } from '../tensor/scalar.ts'
import { tidyForward } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** The same for all images, or a tensor `[batch]` with one number for each. */
export type PerImage = number | Tensor

/** The value of white: 1 for floats, 255 for integers. */
export const whiteOf = (images: Tensor): number => (isFloat(images.dtype) ? 1 : 255)

/**
 * Runs `f` on a batch `[batch, height, width, channels]`; one image `[height, width, channels]` is a batch of one meanwhile. What `f`
 * makes on the way is given back at once, unless gradients need it: images are large, and a pipeline would make garbage of many.
 *
 * @throws {CotangentError} `shape-mismatch` for anything else; `dtype-mismatch` for dtypes that are neither float nor uint8.
 */
export function onBatch(op: string, images: Tensor, f: (batch: Tensor) => Tensor): Tensor {
  return tidyForward(() => asBatch(op, images, f))
}

/** `onBatch` for code of others, which may keep tensors that it makes. */
export function asBatch(op: string, images: Tensor, f: (batch: Tensor) => Tensor): Tensor {
  if (images.rank !== 3 && images.rank !== 4) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'expected images [batch, height, width, channels] or one image [height, width, channels]',
      shapes: [images.shape],
      hint: 'Channels are last; permute([0, 2, 3, 1]) brings images of other libraries into this order.',
    })
  }
  if (!isFloat(images.dtype) && images.dtype !== 'uint8') {
    throw new CotangentError('dtype-mismatch', {
      op,
      message: 'images are uint8 (0 to 255) or floats (0 to 1)',
      dtypes: [images.dtype],
      hint: "Use images.cast('uint8'), or divide and cast to a float dtype.",
    })
  }
  return images.rank === 4 ? f(images) : f(images.unsqueeze(0)).squeeze(0)
}

const bytes = unaryPrimitive<[scale: number]>('bytes', {
  code: (k, x, scale) => k.min(k.max(k.round(k.mul(x, scale)), k.like(x, 0)), k.like(x, 255)),
  result: 'uint8',
  differentiable: false,
})

/** uint8 from floats whose white is `white`, rounded; what is out of range is cut off. */
export const asBytes = (x: Tensor, white: number): Tensor => bind1(bytes, [x, new Scalar(255 / white, x.dtype)], undefined)

/** `onBatch` for code on floats: uint8 images go through float32 on the same scale and are rounded back. */
export const onFloats = (op: string, images: Tensor, f: (batch: Tensor, white: number) => Tensor): Tensor =>
  onBatch(op, images, (batch) => (isFloat(batch.dtype) ? f(batch, 1).cast(batch.dtype) : asBytes(f(batch.cast('float32'), 255), 255)))

/**
 * `onFloats` for code on planes `[batch, channels, height, width]`, where the pixels of a channel lie side by side: what is computed of
 * channels together goes several pixels at a time.
 */
export const onPlanes = (op: string, images: Tensor, f: (planes: Tensor, white: number) => Tensor): Tensor =>
  onBatch(op, images, (batch) => {
    const planes = batch.permute([0, 3, 1, 2])
    const changed = isFloat(batch.dtype) ? f(planes.contiguous(), 1) : f(planes.cast('float32'), 255)
    const back = changed.permute([0, 2, 3, 1])
    // Numbers drawn for each image are float32, half images are to stay what they are.
    return isFloat(batch.dtype) ? back.cast(batch.dtype) : asBytes(back, 255)
  })

/** One number an image, to go with what has four axes, the batch first. */
export const perImage = (value: PerImage): PerImage => (typeof value === 'number' ? value : value.reshape([-1, 1, 1, 1]))

/** @throws {CotangentError} `shape-mismatch` where images have neither one channel nor three. */
export function checkColour(op: string, images: Tensor): void {
  const channels = images.shape.at(-1)
  if (channels === 1 || channels === 3) return
  throw new CotangentError('shape-mismatch', {
    op,
    message: `expected 1 or 3 channels, got ${channels}`,
    shapes: [images.shape],
    hint: 'Leave an alpha channel out with images.narrow(-1, 0, 3).',
  })
}
