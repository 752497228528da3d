import type { DType } from '../dtype.ts'
import type { WindowGeometry } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import * as routines from '../routines.ts'
import type { Checked, ConvWith, Result } from '../shape-types.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { narrowSamples, productDType, type ProductOptions, productOperands } from './product-dtype.ts'
import { defineFunction, type Sample, sampleTensor } from './table.ts'
import { checkRank, type PerAxis, perAxis, windowCount } from './window.ts'

interface ConvAttrs extends WindowGeometry {
  readonly groups: number
  /** The result's, where it is not the operands'. */
  readonly dtype?: DType
}

/** A gradient's shape cannot be told from its inputs. */
interface ConvGradAttrs extends ConvAttrs {
  readonly shape: Shape
}

const geometryOf = ({ kernel, stride, padding, dilation, groups }: ConvAttrs): Omit<ConvAttrs, 'dtype'> => ({
  kernel,
  stride,
  padding,
  dilation,
  groups,
})

/** The three maps are each other's adjoints, so they also give each other's gradients, of any order, in the result's dtype. */
const convPrimitive: Primitive<ConvAttrs> = {
  name: 'conv',
  tangent: 'bilinear',
  infer: ([x, w], attrs) => [
    { dtype: attrs.dtype ?? x!.dtype, shape: [x!.shape[0]!, ...windowCounts(x!.shape.slice(1, -1), attrs), w!.shape.at(-1)!] },
  ],
  lower: (inputs, outputs, attrs) => routines.conv(geometryOf(attrs), inputs, outputs),
  gradient: ([g], { inputs: [x, w], inputSpecs: [sx, sw, bias], attrs, wanted }) => [
    wanted[0] ? bind1(gradInputPrimitive, [g!, w!.cast(g!.dtype)], { ...geometryOf(attrs), shape: sx!.shape }).cast(sx!.dtype) : null,
    wanted[1] ? bind1(gradWeightPrimitive, [x!.cast(g!.dtype), g!], { ...geometryOf(attrs), shape: sw!.shape }).cast(sw!.dtype) : null,
    ...(bias ? [wanted[2] ? g!.fitTo(bias.shape) : null] : []),
  ],
  saves: (inputs) => ({ inputs: inputs.map((_, i) => i < 2), outputs: [false] }),
}

const gradInputPrimitive: Primitive<ConvGradAttrs> = {
  name: 'convGradInput',
  tangent: 'bilinear',
  infer: ([g], { shape, dtype = g!.dtype }) => [{ dtype, shape }],
  lower: (inputs, outputs, attrs) => routines.convGradInput(geometryOf(attrs), inputs, outputs),
  gradient: ([gg], { inputs: [g, w], inputSpecs: [sg, sw], attrs, wanted }) => [
    wanted[0] ? bind1(convPrimitive, [gg!, w!.cast(gg!.dtype)], geometryOf(attrs)).cast(sg!.dtype) : null,
    wanted[1] ? bind1(gradWeightPrimitive, [gg!, g!.cast(gg!.dtype)], { ...geometryOf(attrs), shape: sw!.shape }).cast(sw!.dtype) : null,
  ],
}

const gradWeightPrimitive: Primitive<ConvGradAttrs> = {
  name: 'convGradWeight',
  tangent: 'bilinear',
  infer: ([x], { shape }) => [{ dtype: x!.dtype, shape }],
  lower: (inputs, outputs, attrs) => routines.convGradWeight(geometryOf(attrs), inputs, outputs),
  gradient: ([gg], { inputs: [x, g], inputSpecs: [sx], attrs, wanted }) => [
    wanted[0] ? bind1(gradInputPrimitive, [g!, gg!], { ...attrs, shape: sx!.shape }) : null,
    wanted[1] ? bind1(convPrimitive, [x!, gg!], geometryOf(attrs)) : null,
  ],
}

const windowCounts = (spatial: Shape, { kernel, stride, padding, dilation }: WindowGeometry): number[] =>
  spatial.map((n, i) => windowCount(n + padding[i]![0] + padding[i]![1], kernel[i]!, stride[i]!, dilation[i]!))

export interface ConvOptions extends ProductOptions {
  /** Added to each output channel: `[out]`. */
  readonly bias?: Tensor | null
  /** Steps between windows; one number, or one a spatial axis. */
  readonly stride?: PerAxis
  /** Zeros on both sides; `same` keeps the size at stride 1 (an odd rest goes after), `valid` is none. */
  readonly padding?: PerAxis | 'same' | 'valid'
  /** Steps between the elements of a window. Default 1. */
  readonly dilation?: PerAxis
  /** Channels are split into so many groups that do not see each other; as many as channels is depthwise. */
  readonly groups?: number
}

function geometry(op: string, axes: number, w: Tensor, options: ConvOptions): ConvAttrs {
  const kernel = w.shape.slice(0, axes)
  const stride = perAxis(op, 'stride', options.stride ?? 1, axes, 1)
  const dilation = perAxis(op, 'dilation', options.dilation ?? 1, axes, 1)
  const { padding = 0, groups = 1 } = options
  if (!Number.isInteger(groups) || groups < 1)
    throw new CotangentError('invalid-argument', { op, message: `groups is ${groups}`, hint: 'It must be a positive integer.' })
  const around = (i: number): [number, number] => {
    if (padding === 'same') {
      if (stride[i] !== 1)
        throw new CotangentError('invalid-argument', { op, message: "padding 'same' needs stride 1", hint: 'Give the padding as numbers.' })
      const total = dilation[i]! * (kernel[i]! - 1)
      return [Math.floor(total / 2), Math.ceil(total / 2)]
    }
    const n = padding === 'valid' ? 0 : perAxis(op, 'padding', padding, axes, 0)[i]!
    return [n, n]
  }
  return { kernel, stride, padding: kernel.map((_, i) => around(i)), dilation, groups }
}

function conv(op: string, axes: number, input: Tensor, weight: Tensor, options: ConvOptions): Tensor {
  checkRank(op, input, axes + 2, `[batch, ${'spatial, '.repeat(axes)}channels]`)
  checkRank(op, weight, axes + 2, `[${'kernel, '.repeat(axes)}channels in / groups, channels out]`)
  const attrs = geometry(op, axes, weight, options)
  const channels = input.shape.at(-1)!
  const out = weight.shape.at(-1)!
  if (channels !== weight.shape.at(-2)! * attrs.groups || out % attrs.groups !== 0) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `the input has ${channels} channels, the weight is for ${weight.shape.at(-2)} x ${attrs.groups} groups, to ${out}`,
      shapes: [input.shape, weight.shape],
      hint: 'Activations are channels last, [batch, ...spatial, channels]; weights [...kernel, channels in / groups, channels out].',
    })
  }
  checkBias(op, options.bias, out)
  const dtype = productDType(op, [input, weight], options)
  const bias = options.bias ? [options.bias.cast(dtype)] : []
  const [x, w] = productOperands(dtype, input, weight)
  if (windowCounts(x.shape.slice(1, -1), attrs).some((n) => n < 1)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'the kernel is larger than the padded input',
      shapes: [input.shape, weight.shape],
      hint: 'Pad the input, or use a smaller kernel.',
    })
  }
  return bind1(convPrimitive, [x, w, ...bias], x.dtype === dtype ? attrs : { ...attrs, dtype })
}

function checkBias(op: string, bias: Tensor | null | undefined, channels: number): void {
  if (bias && (bias.rank !== 1 || bias.shape[0] !== channels)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `the bias must have shape [${channels}]`,
      shapes: [bias.shape],
      hint: 'There is one bias for each output channel.',
    })
  }
}

export interface ConvTransposeOptions extends Omit<ConvOptions, 'padding'> {
  /** How much the result is cut on both sides. */
  readonly padding?: PerAxis
  /** Size added at the end of the result, less than the stride: it says which of several possible sizes is meant. */
  readonly outputPadding?: PerAxis
}

function convTranspose(op: string, axes: number, input: Tensor, weight: Tensor, options: ConvTransposeOptions): Tensor {
  checkRank(op, input, axes + 2, `[batch, ${'spatial, '.repeat(axes)}channels]`)
  checkRank(op, weight, axes + 2, `[${'kernel, '.repeat(axes)}channels out / groups, channels in]`)
  const attrs = geometry(op, axes, weight, options)
  const channels = weight.shape.at(-2)! * attrs.groups
  if (input.shape.at(-1) !== weight.shape.at(-1) || input.shape.at(-1)! % attrs.groups !== 0) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `the input has ${input.shape.at(-1)} channels, the weight is for ${weight.shape.at(-1)} in ${attrs.groups} groups`,
      shapes: [input.shape, weight.shape],
      hint: 'Weights of transposed convolutions are [...kernel, channels out / groups, channels in].',
    })
  }
  checkBias(op, options.bias, channels)
  const extra = perAxis(op, 'outputPadding', options.outputPadding ?? 0, axes, 0)
  const spatial = attrs.kernel.map((k, i) => {
    const [before, after] = attrs.padding[i]!
    return (input.shape[i + 1]! - 1) * attrs.stride[i]! - before - after + attrs.dilation[i]! * (k - 1) + extra[i]! + 1
  })
  if (spatial.some((n) => n < 1) || extra.some((n, i) => n > 0 && n >= Math.max(attrs.stride[i]!, attrs.dilation[i]!))) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `padding or outputPadding leave no sensible result size [${spatial}]`,
      shapes: [input.shape, weight.shape],
      hint: "outputPadding must be smaller than the stride, and padding smaller than the kernel's reach.",
    })
  }
  const dtype = productDType(op, [input, weight], options)
  const [x, w] = productOperands(dtype, input, weight)
  const shape = [input.shape[0]!, ...spatial, channels]
  const y = bind1(gradInputPrimitive, [x, w], x.dtype === dtype ? { ...attrs, shape } : { ...attrs, shape, dtype })
  return options.bias ? y.add(options.bias) : y
}

const spatialNames = ['', 'length', 'height, width', 'depth, height, width']

function convSamples(axes: number): Sample[] {
  const size = [7, 6, 5].slice(0, axes)
  const kernel = [3, 2, 3].slice(0, axes)
  return [
    { args: [sampleTensor([2, ...size, 3]), sampleTensor([...kernel, 3, 4])] },
    { args: [sampleTensor([1, ...size, 2]), sampleTensor([...kernel, 2, 3]), { bias: sampleTensor([3]), stride: 2, padding: 1 }] },
    { args: [sampleTensor([1, ...size, 4]), sampleTensor([...kernel, 2, 6]), { groups: 2, dilation: 2, padding: 2 }] },
    { args: [sampleTensor([1, ...size, 3]), sampleTensor([...kernel, 1, 3]), { groups: 3, padding: 'same' }] },
    ...narrowSamples(
      (dtype) => sampleTensor([1, ...size, 3], { dtype }),
      (dtype) => sampleTensor([...kernel, 3, 5], { dtype }),
      { padding: 1, stride: 2 },
    ),
  ]
}

type SpatialRank = 1 | 2 | 3

interface Conv<R extends SpatialRank, O = ConvOptions, Transposed extends boolean = false> {
  <S extends Shape, W extends Shape>(
    x: Tensor<S>,
    weight: Checked<ConvWith<S, W, R, Transposed>, Tensor<W>>,
    options?: O,
  ): Tensor<Result<ConvWith<S, W, R, Transposed>>>
}

type ConvTranspose<R extends SpatialRank> = Conv<R, ConvTransposeOptions, true>

/* @__NO_SIDE_EFFECTS__ */
function declareConv<R extends SpatialRank>(axes: R): Conv<R> {
  const name = `conv${axes}d`
  return defineFunction({
    name,
    precision: 'lower',
    doc: `Convolution (cross-correlation) of x [batch, ${spatialNames[axes]}, channels] with weight [...kernel, channels in / groups, channels out].`,
    call: ((x: Tensor, weight: Tensor, options: ConvOptions = {}) => conv(name, axes, x, weight, options)) as unknown as Conv<R>,
    samples: () => convSamples(axes),
  })
}

/* @__NO_SIDE_EFFECTS__ */
function declareConvTranspose<R extends SpatialRank>(axes: R): ConvTranspose<R> {
  const name = `convTranspose${axes}d`
  return defineFunction({
    name,
    precision: 'lower',
    doc: `Transposed convolution: the adjoint of conv${axes}d, with weight [...kernel, channels out / groups, channels in].`,
    call: ((x: Tensor, weight: Tensor, options: ConvTransposeOptions = {}) =>
      convTranspose(name, axes, x, weight, options)) as unknown as ConvTranspose<R>,
    samples: () => [
      { args: [sampleTensor([2, ...[4, 3, 2].slice(0, axes), 3]), sampleTensor([...[3, 2, 2].slice(0, axes), 4, 3])] },
      {
        args: [
          sampleTensor([1, ...[3, 4, 2].slice(0, axes), 4]),
          sampleTensor([...[3, 3, 2].slice(0, axes), 1, 4]),
          { groups: 2, stride: 2, padding: 1, outputPadding: 1, bias: sampleTensor([2]) },
        ],
      },
    ],
  })
}

export const conv1d = declareConv(1)
export const conv2d = declareConv(2)
export const conv3d = declareConv(3)
export const convTranspose1d = declareConvTranspose(1)
export const convTranspose2d = declareConvTranspose(2)
export const convTranspose3d = declareConvTranspose(3)
