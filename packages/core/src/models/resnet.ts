import type { DType } from '../dtype.ts'
import { BatchNorm2d } from '../nn/batch-norm.ts'
import { Conv2d } from '../nn/conv.ts'
import { kaimingNormal, zeros } from '../nn/init.ts'
import { Linear } from '../nn/linear.ts'
import { Module } from '../nn/module.ts'
import { Sequential } from '../nn/sequential.ts'
import { maxPool2d } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** What all ResNets leave open; the defaults are the published ones for ImageNet. */
export interface ResNetOptions {
  /** Number of classes. Default 1000, those of ImageNet. */
  readonly classes?: number
  /** Channels of the images. Default 3. */
  readonly inChannels?: number
  /** Channels of the stem; the four stages have 1, 2, 4 and 8 times as many (4 times more behind bottlenecks). Default 64. */
  readonly width?: number
  /** Starts each residual branch at zero, so that blocks begin as identities. Goyal et al., arXiv:1706.02677, section 5.1. Default false. */
  readonly zeroInitResidual?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** A ResNet of any depth, wide ones and ResNeXt among them. */
export interface ResNetConfig extends ResNetOptions {
  /** Two 3x3 convolutions, or 1x1, 3x3 and 1x1 with four times the channels at the end. */
  readonly block: 'basic' | 'bottleneck'
  /** Blocks in each of the four stages. */
  readonly depths: readonly [number, number, number, number]
  /** Groups of the 3x3 convolutions of bottlenecks: more than one is ResNeXt. Xie et al., arXiv:1611.05431. Default 1. */
  readonly groups?: number
  /** Channels of a group in the first stage, where `width` is 64. Default 64. */
  readonly widthPerGroup?: number
}

interface BlockShape {
  readonly from: number
  readonly width: number
  readonly to: number
  readonly stride: number
  readonly groups: number
  readonly dtype: DType
}

const conv3x3 = (from: number, to: number, stride: number, groups: number, dtype: DType): Conv2d =>
  new Conv2d(from, to, 3, { stride, padding: 1, groups, bias: false, dtype })

const conv1x1 = (from: number, to: number, stride: number, dtype: DType): Conv2d => new Conv2d(from, to, 1, { stride, bias: false, dtype })

/** What both kinds of block share: a branch of convolutions, added to the input or to a 1x1 projection of it. */
abstract class Block extends Module {
  abstract readonly downsample: Sequential | null

  protected abstract branch(x: Tensor): Tensor

  /** The norm whose factor scales the whole branch. */
  abstract get lastNorm(): BatchNorm2d

  forward(x: Tensor): Tensor {
    const shortcut: Tensor = this.downsample ? this.downsample.forward(x) : x
    return this.branch(x).add(shortcut).relu()
  }
}

function projection({ from, to, stride, dtype }: BlockShape): Sequential | null {
  return stride === 1 && from === to
    ? null
    : (new Sequential(conv1x1(from, to, stride, dtype), new BatchNorm2d(to, { dtype })) as Sequential)
}

class BasicBlock extends Block {
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly downsample: Sequential | null

  constructor(shape: BlockShape) {
    super()
    const { from, to, stride, dtype } = shape
    this.conv1 = conv3x3(from, to, stride, 1, dtype)
    this.bn1 = new BatchNorm2d(to, { dtype })
    this.conv2 = conv3x3(to, to, 1, 1, dtype)
    this.bn2 = new BatchNorm2d(to, { dtype })
    this.downsample = projection(shape)
  }

  get lastNorm(): BatchNorm2d {
    return this.bn2
  }

  protected branch(x: Tensor): Tensor {
    const h = this.bn1.forward(this.conv1.forward(x) as Tensor).relu()
    return this.bn2.forward(this.conv2.forward(h) as Tensor)
  }
}

/** Halves the picture in its 3x3 convolution, not in the first 1x1: the variant called v1.5. */
class Bottleneck extends Block {
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly conv2: Conv2d
  readonly bn2: BatchNorm2d
  readonly conv3: Conv2d
  readonly bn3: BatchNorm2d
  readonly downsample: Sequential | null

  constructor(shape: BlockShape) {
    super()
    const { from, width, to, stride, groups, dtype } = shape
    this.conv1 = conv1x1(from, width, 1, dtype)
    this.bn1 = new BatchNorm2d(width, { dtype })
    this.conv2 = conv3x3(width, width, stride, groups, dtype)
    this.bn2 = new BatchNorm2d(width, { dtype })
    this.conv3 = conv1x1(width, to, 1, dtype)
    this.bn3 = new BatchNorm2d(to, { dtype })
    this.downsample = projection(shape)
  }

  get lastNorm(): BatchNorm2d {
    return this.bn3
  }

  protected branch(x: Tensor): Tensor {
    const reduced = this.bn1.forward(this.conv1.forward(x) as Tensor).relu()
    const h = this.bn2.forward(this.conv2.forward(reduced) as Tensor).relu()
    return this.bn3.forward(this.conv3.forward(h) as Tensor)
  }
}

/**
 * Residual network for pictures. He et al., arXiv:1512.03385. Pictures are `[batch, height, width, channels]`, of any size that
 * survives being halved five times (224 as published); results are logits `[batch, classes]`.
 *
 * Parts are called as in torchvision, so that its weights can be loaded: `loadPyTorchState(resnet50(), weights)`.
 */
export class ResNet extends Module {
  readonly conv1: Conv2d
  readonly bn1: BatchNorm2d
  readonly layer1: Sequential
  readonly layer2: Sequential
  readonly layer3: Sequential
  readonly layer4: Sequential
  readonly fc: Linear

  constructor(config: ResNetConfig) {
    super()
    const { classes = 1000, inChannels = 3, width = 64, dtype = 'float32' } = config
    this.conv1 = new Conv2d(inChannels, width, 7, { stride: 2, padding: 3, bias: false, dtype })
    this.bn1 = new BatchNorm2d(width, { dtype })
    this.layer1 = stage(config, 0)
    this.layer2 = stage(config, 1)
    this.layer3 = stage(config, 2)
    this.layer4 = stage(config, 3)
    this.fc = new Linear(outWidth(config, 3), classes, { dtype })
    for (const module of this.modules()) {
      if (module instanceof Conv2d) kaimingNormal(module.weight as Tensor, { mode: 'out', nonlinearity: 'relu' })
      if (config.zeroInitResidual && module instanceof Block) zeros(module.lastNorm.weight as Tensor)
    }
  }

  /** The last feature map, `[batch, height / 32, width / 32, channels]`. */
  features(images: Tensor): Tensor {
    const stem: Tensor = maxPool2d(this.bn1.forward(this.conv1.forward(images) as Tensor).relu(), 3, { stride: 2, padding: 1 })
    return [this.layer1, this.layer2, this.layer3, this.layer4].reduce((h, layer) => layer.forward(h) as Tensor, stem)
  }

  forward(images: Tensor): Tensor {
    return this.fc.forward(this.features(images).mean([1, 2])) as Tensor
  }
}

const outWidth = ({ block, width = 64 }: ResNetConfig, index: number): number => width * 2 ** index * (block === 'basic' ? 1 : 4)

function stage(config: ResNetConfig, index: number): Sequential {
  const { block, width = 64, groups = 1, widthPerGroup = 64, dtype = 'float32' } = config
  const Kind = block === 'basic' ? BasicBlock : Bottleneck
  const to = outWidth(config, index)
  const inner = Math.floor((width * 2 ** index * widthPerGroup) / 64) * groups
  const blocks = Array.from({ length: config.depths[index]! }, (_, i) => {
    const from = i > 0 ? to : index === 0 ? width : outWidth(config, index - 1)
    return new Kind({ from, width: inner, to, stride: i === 0 && index > 0 ? 2 : 1, groups, dtype })
  })
  return new Sequential(...blocks) as Sequential
}

/** 18 layers, 11.7 million parameters. */
export const resnet18 = (options: ResNetOptions = {}): ResNet => new ResNet({ ...options, block: 'basic', depths: [2, 2, 2, 2] })
/** 34 layers, 21.8 million parameters. */
export const resnet34 = (options: ResNetOptions = {}): ResNet => new ResNet({ ...options, block: 'basic', depths: [3, 4, 6, 3] })
/** 50 layers, 25.6 million parameters. */
export const resnet50 = (options: ResNetOptions = {}): ResNet => new ResNet({ ...options, block: 'bottleneck', depths: [3, 4, 6, 3] })
/** 101 layers, 44.5 million parameters. */
export const resnet101 = (options: ResNetOptions = {}): ResNet => new ResNet({ ...options, block: 'bottleneck', depths: [3, 4, 23, 3] })
