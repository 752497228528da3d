import type { Tensor } from '../tensor/tensor.ts'
import { onBatch } from './images.ts'
import { randomApply, type Transform } from './transform.ts'

/** Left becomes right. */
export const horizontalFlip = (images: Tensor): Tensor => onBatch('horizontalFlip', images, (x) => x.flip(2))

/** Up becomes down. */
export const verticalFlip = (images: Tensor): Tensor => onBatch('verticalFlip', images, (x) => x.flip(1))

/** Mirrors each image with probability `p`. */
export const randomHorizontalFlip = (p = 0.5): Transform => randomApply(horizontalFlip, p)

/** Turns each image upside down with probability `p`. */
export const randomVerticalFlip = (p = 0.5): Transform => randomApply(verticalFlip, p)
