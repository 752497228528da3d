import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { BatchNorm2d } from '../nn/batch-norm.ts'
import { Conv2d } from '../nn/conv.ts'
import { Dropout } from '../nn/dropout.ts'
import { kaimingNormal, normal, zeros } from '../nn/init.ts'
import { Linear } from '../nn/linear.ts'
import { Module, type TensorModule } from '../nn/module.ts'
import { Sequential } from '../nn/sequential.ts'
import { relu6 } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** One row of the paper's table 2: `repeats` blocks of `channels`, the first of them with `stride`. */
export interface InvertedResidualRow {
  /** How many times more channels the depthwise convolution has than the block's input. */
  readonly expansion: number
  readonly channels: number
  readonly repeats: number
  readonly stride: number
}

/** Sizes of a MobileNetV2; the defaults are the published ones for ImageNet. */
export interface MobileNetV2Options {
  /** Number of classes. Default 1000, those of ImageNet. */
  readonly classes?: number
  /** Channels of the images. Default 3. */
  readonly inChannels?: number
  /** Factor of all numbers of channels. Default 1. */
  readonly widthMultiplier?: number
  /** Numbers of channels are rounded to multiples of it, and never by more than a tenth down. Default 8. */
  readonly roundTo?: number
  /** Probability of dropping a feature before the classifier. Default 0.2. */
  readonly dropout?: number
  /** The blocks; default those of the paper. */
  readonly rows?: readonly InvertedResidualRow[]
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

const paperRows: readonly InvertedResidualRow[] = [
  { expansion: 1, channels: 16, repeats: 1, stride: 1 },
  { expansion: 6, channels: 24, repeats: 2, stride: 2 },
  { expansion: 6, channels: 32, repeats: 3, stride: 2 },
  { expansion: 6, channels: 64, repeats: 4, stride: 2 },
  { expansion: 6, channels: 96, repeats: 3, stride: 1 },
  { expansion: 6, channels: 160, repeats: 3, stride: 2 },
  { expansion: 6, channels: 320, repeats: 1, stride: 1 },
]

interface ConvShape {
  readonly from: number
  readonly to: number
  readonly kernelSize?: number
  readonly stride?: number
  readonly groups?: number
  readonly dtype: DType
}

/** Convolution, batch norm, ReLU6. */
function convNormActivation({ from, to, kernelSize = 3, stride = 1, groups = 1, dtype }: ConvShape): Sequential {
  const conv = new Conv2d(from, to, kernelSize, { stride, padding: (kernelSize - 1) / 2, groups, bias: false, dtype })
  return new Sequential(conv, new BatchNorm2d(to, { dtype }), relu6) as Sequential
}

/** Expands the channels, filters each by itself, and projects back without an activation; a residual where shapes allow. */
class InvertedResidual extends Module {
  readonly conv: Sequential
  readonly #residual: boolean

  constructor({ from, to, stride, expansion, dtype }: { from: number; to: number; stride: number; expansion: number; dtype: DType }) {
    super()
    const hidden = Math.round(from * expansion)
    const layers: TensorModule[] = expansion === 1 ? [] : [convNormActivation({ from, to: hidden, kernelSize: 1, dtype })]
    layers.push(convNormActivation({ from: hidden, to: hidden, stride, groups: hidden, dtype }))
    this.conv = new Sequential(...layers, new Conv2d(hidden, to, 1, { bias: false, dtype }), new BatchNorm2d(to, { dtype })) as Sequential
    this.#residual = stride === 1 && from === to
  }

  forward(x: Tensor): Tensor {
    const y = this.conv.forward(x) as Tensor
    return this.#residual ? x.add(y) : y
  }
}

/**
 * Network of inverted residuals and linear bottlenecks, made for small machines. Sandler et al., arXiv:1801.04381. Pictures are
 * `[batch, height, width, channels]`, 224 x 224 as published; results are logits `[batch, classes]`.
 *
 * Parts are called as in torchvision, so that its weights can be loaded: `loadPyTorchState(new MobileNetV2(), weights)`.
 */
export class MobileNetV2 extends Module {
  /** The stem, the blocks, and a last 1x1 convolution. */
  readonly features: Sequential
  /** Dropout and a linear layer. */
  readonly classifier: Sequential

  constructor(options: MobileNetV2Options = {}) {
    super()
    const { classes = 1000, inChannels = 3, widthMultiplier = 1, roundTo = 8, dropout = 0.2, rows = paperRows, dtype = 'float32' } = options
    if (rows.length === 0)
      throw new CotangentError('invalid-argument', {
        op: 'MobileNetV2',
        message: 'has no blocks',
        hint: 'Leave rows out for those of the paper.',
      })
    const scaled = (channels: number): number => rounded(channels * widthMultiplier, roundTo)
    let from = scaled(32)
    const layers: TensorModule[] = [convNormActivation({ from: inChannels, to: from, stride: 2, dtype })]
    for (const { expansion, channels, repeats, stride } of rows) {
      const to = scaled(channels)
      for (let i = 0; i < repeats; i++) {
        layers.push(new InvertedResidual({ from, to, stride: i === 0 ? stride : 1, expansion, dtype }))
        from = to
      }
    }
    // Narrow networks keep the wide last layer.
    const last = rounded(1280 * Math.max(1, widthMultiplier), roundTo)
    this.features = new Sequential(...layers, convNormActivation({ from, to: last, kernelSize: 1, dtype })) as Sequential
    this.classifier = new Sequential(new Dropout(dropout), new Linear(last, classes, { dtype })) as Sequential
    for (const module of this.modules()) {
      if (module instanceof Conv2d) kaimingNormal(module.weight as Tensor, { mode: 'out', nonlinearity: 'relu' })
      if (module instanceof Linear) {
        normal(module.weight as Tensor, { std: 0.01 })
        zeros(module.bias as Tensor)
      }
    }
  }

  forward(images: Tensor): Tensor {
    return this.classifier.forward((this.features.forward(images) as Tensor).mean([1, 2])) as Tensor
  }
}

/** The multiple of `divisor` next to `channels`, at least `divisor`, and at least nine tenths of `channels`. */
function rounded(channels: number, divisor: number): number {
  const near = Math.max(divisor, Math.floor((channels + divisor / 2) / divisor) * divisor)
  return near < 0.9 * channels ? near + divisor : near
}
