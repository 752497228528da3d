import { toFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { sameShape } from '../layout.ts'
import { bind1 } from '../tensor/bind.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { checkReduction, type LossOptions, type PairLoss, type Reduction, reduceLoss, type TripleLoss } from './loss.ts'
import { rowSize } from './rows.ts'
import { isZero, one, scaled, softplusOf, squareOf, zero } from './scalar-math.ts'
import { defineFunction, type Sample, sampleTensor, type SampleTensor } from './table.ts'

interface Attrs {
  readonly axes: readonly number[]
  readonly reduction: Reduction
  readonly params: Readonly<Record<string, number | boolean>>
}

type Params<O> = { readonly [K in keyof Omit<O, 'reduction'>]-?: NonNullable<O[K]> }

interface ElementLoss<O> {
  readonly doc: string
  /** Options with their defaults: numbers and booleans. */
  readonly defaults: Params<O>
  /** The loss of one element; `rest` are further tensors, in order. */
  readonly code: (k: KernelBuilder, x: Value, y: Value, options: Params<O>, ...rest: Value[]) => Value
  /** Where the inputs of the samples are drawn from, and options to sample. */
  readonly domains?: readonly Omit<SampleTensor, 'shape'>[]
  readonly variants?: readonly Partial<Params<O>>[]
  /** Refuses options that make no sense. */
  readonly check?: (options: Params<O>) => void
}

/** A loss of elements that are compared one by one: code and reduction are one kernel, and so is the gradient. */
/* @__NO_SIDE_EFFECTS__ */
function elementLoss<O extends LossOptions = LossOptions>(
  name: string,
  { doc, defaults, code, domains = [{}, {}], variants = [], check }: ElementLoss<O>,
): PairLoss<O> {
  const primitive = elementPrimitive(name, code)
  return defineFunction({
    name,
    doc,
    precision: 'float32',
    call: ((x: Tensor, target: Tensor, options: O = {} as O): Tensor => {
      const { reduction, ...given } = options
      const params = { ...defaults, ...given } as Params<O>
      check?.(params)
      return elementwise(name, primitive, [x, target], reduction, params)
    }) as PairLoss<O>,
    samples: (): Sample[] => {
      const inputs = (shape: readonly number[]) => domains.map((domain) => sampleTensor(shape, domain))
      return [
        { args: inputs([3, 5]) },
        { args: [...inputs([2, 3]), { reduction: 'sum' }] },
        { args: [...inputs([7]), { reduction: 'none' }] },
        { args: [...inputs([]), { reduction: 'mean' }] },
        { args: [...inputs([0, 2]), { reduction: 'sum' }] },
        ...variants.map((variant) => ({ args: [...inputs([4, 3]), variant] })),
      ]
    },
  })
}

function elementPrimitive<O>(name: string, code: ElementLoss<O>['code']) {
  return kernelPrimitive<Attrs>({
    name,
    compute: toFloat,
    axes: ({ axes }) => axes,
    levels: ['row'],
    code: (k, [x, y, ...rest], { reduction, params }) => {
      const loss = code(k, x!, y!, params as unknown as Params<O>, ...rest)
      if (reduction === 'none') return [loss]
      const total = k.reduce('sum', loss)
      return [reduction === 'sum' ? total : k.div(total, k.like(total, rowSize(k)))]
    },
  })
}

function elementwise(
  op: string,
  primitive: ReturnType<typeof elementPrimitive>,
  inputs: readonly Tensor[],
  reduction: Reduction | undefined,
  params: object,
): Tensor {
  const [x, target] = inputs as [Tensor, Tensor]
  if (!sameShape(x.shape, target.shape)) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: 'input and target must have the same shape (they are not broadcast, which would hide mistakes)',
      shapes: [x.shape, target.shape],
      hint: 'Use squeeze() or unsqueeze() where they differ by an axis of size 1, or expand().',
    })
  }
  const kind = checkReduction(op, reduction)
  const axes = kind === 'none' ? [] : x.shape.map((_, axis) => axis)
  return bind1(primitive, inputs, { axes, reduction: kind, params: params as Attrs['params'] })
}

const probability = { low: 0.05, high: 0.95 }

export const mseLoss = elementLoss('mseLoss', { doc: '(x - y)².', defaults: {}, code: (k, x, y) => squareOf(k, k.sub(x, y)) })

export const l1Loss = elementLoss('l1Loss', { doc: '|x - y|.', defaults: {}, code: (k, x, y) => k.abs(k.sub(x, y)) })

/** Where smooth L1 loss turns from a square into a line. */
export interface SmoothL1Options extends LossOptions {
  /** Where the loss changes from squared to absolute. Default 1. */
  readonly beta?: number
}

export const smoothL1Loss = elementLoss<SmoothL1Options>('smoothL1Loss', {
  doc: '(x - y)² / (2 beta) where |x - y| < beta, else |x - y| - beta / 2. Girshick, arXiv:1504.08083.',
  defaults: { beta: 1 },
  variants: [{ beta: 0.3 }, { beta: 0 }],
  code: (k, x, y, { beta }) => {
    const d = k.abs(k.sub(x, y))
    if (beta === 0) return d
    return k.select(k.lt(d, k.like(d, beta)), scaled(k, squareOf(k, d), 0.5 / beta), k.sub(d, k.like(d, beta / 2)))
  },
})

/** Where Huber loss turns from a square into a line. */
export interface HuberOptions extends LossOptions {
  /** Where the loss changes from squared to absolute. Default 1. */
  readonly delta?: number
}

export const huberLoss = elementLoss<HuberOptions>('huberLoss', {
  doc: '(x - y)² / 2 where |x - y| <= delta, else delta * (|x - y| - delta / 2). Huber (1964).',
  defaults: { delta: 1 },
  variants: [{ delta: 0.4 }],
  check: ({ delta }) => {
    if (!(delta > 0))
      throw new CotangentError('invalid-argument', { op: 'huberLoss', message: `delta is ${delta}`, hint: 'It must be positive.' })
  },
  code: (k, x, y, { delta }) => {
    const d = k.abs(k.sub(x, y))
    return k.select(k.le(d, k.like(d, delta)), scaled(k, squareOf(k, d), 0.5), scaled(k, k.sub(d, k.like(d, delta / 2)), delta))
  },
})

export const softMarginLoss = elementLoss('softMarginLoss', {
  doc: 'log(1 + e^(-y x)) for targets y of -1 and 1.',
  defaults: {},
  code: (k, x, y) => softplusOf(k, k.neg(k.mul(x, y))),
})

/** The margin of a hinge loss. */
export interface HingeOptions extends LossOptions {
  /** How far on its side an element must lie. Default 1. */
  readonly margin?: number
}

export const hingeLoss = elementLoss<HingeOptions>('hingeLoss', {
  doc: 'max(0, margin - y x) for targets y of -1 and 1.',
  defaults: { margin: 1 },
  variants: [{ margin: 0.5 }],
  code: (k, x, y, { margin }) => {
    const short = k.sub(k.like(x, margin), k.mul(x, y))
    return k.select(k.gt(short, zero(k, short)), short, zero(k, short))
  },
})

export const hingeEmbeddingLoss = elementLoss<HingeOptions>('hingeEmbeddingLoss', {
  doc: 'x where y is 1, max(0, margin - x) where y is -1.',
  defaults: { margin: 1 },
  code: (k, x, y, { margin }) => {
    const short = k.sub(k.like(x, margin), x)
    return k.select(k.gt(y, zero(k, y)), x, k.select(k.gt(short, zero(k, short)), short, zero(k, short)))
  },
})

/** Whether the targets of the divergence are logarithms, and how it is reduced. */
export interface KlDivOptions extends LossOptions {
  /** Whether the target holds log-probabilities. Default false. */
  readonly logTarget?: boolean
}

export const klDivLoss = elementLoss<KlDivOptions>('klDivLoss', {
  doc: 'y * (log(y) - x) for log-probabilities x and probabilities y (0 where y is 0). For the divergence divide the sum by the number of rows.',
  defaults: { logTarget: false },
  domains: [{}, probability],
  variants: [{ logTarget: true }],
  code: (k, x, y, { logTarget }) => {
    if (logTarget) return k.mul(k.exp(y), k.sub(y, x))
    const safe = k.select(isZero(k, y), one(k, y), y)
    return k.mul(y, k.sub(k.log(safe), x))
  },
})

/** Whether inputs of the Poisson loss are logarithms of the rate, and which terms it has. */
export interface PoissonNllOptions extends LossOptions {
  /** Whether x is the logarithm of the rate (default) or the rate. */
  readonly logInput?: boolean
  /** Whether to add Stirling's approximation of log(y!). Default false. */
  readonly full?: boolean
  /** Added to the rate before its logarithm is taken. Default 1e-8. */
  readonly eps?: number
}

export const poissonNllLoss = elementLoss<PoissonNllOptions>('poissonNllLoss', {
  doc: 'Negative log-likelihood of counts y, e^x - y x for a logarithm x of the rate; without the constant log(y!).',
  defaults: { logInput: true, full: false, eps: 1e-8 },
  domains: [probability, { low: 0, high: 5 }],
  variants: [{ logInput: false }, { full: true }],
  code: (k, x, y, { logInput, full, eps }) => {
    const loss = logInput ? k.sub(k.exp(x), k.mul(y, x)) : k.sub(x, k.mul(y, k.log(k.add(x, k.like(x, eps)))))
    if (!full) return loss
    const stirling = k.add(k.sub(k.mul(y, k.log(y)), y), scaled(k, k.log(scaled(k, y, 2 * Math.PI)), 0.5))
    return k.add(loss, k.select(k.gt(y, one(k, y)), stirling, zero(k, y)))
  },
})

/** Weights of the elements of a loss, and how it is reduced. */
export interface WeightedLossOptions extends LossOptions {
  /** A factor for each loss, broadcast to the input. */
  readonly weight?: Tensor | null
}

/** At least -100, as in PyTorch. */
const boundedLog = (k: KernelBuilder, p: Value): Value => k.max(k.log(p), k.like(p, -100))

const binaryEntropy = (k: KernelBuilder, x: Value, y: Value): Value => {
  const [notX, notY] = [k.sub(one(k, x), x), k.sub(one(k, y), y)]
  return k.neg(k.add(k.mul(y, boundedLog(k, x)), k.mul(notY, boundedLog(k, notX))))
}

const bcePrimitive = kernelPrimitive<Attrs>({
  name: 'bceLoss',
  compute: toFloat,
  axes: ({ axes }) => axes,
  levels: ['row'],
  code: (k, [x, y, w], { reduction }) => {
    const plain = binaryEntropy(k, x!, y!)
    const loss = w === undefined ? plain : k.mul(plain, w)
    if (reduction === 'none') return [loss]
    const total = k.reduce('sum', loss)
    return [reduction === 'sum' ? total : k.div(total, k.like(total, rowSize(k)))]
  },
  adjoint: (k, [g], [x, y, w], _, { reduction }) => {
    const share = reduction === 'mean' ? k.div(g!, k.like(g!, rowSize(k))) : g!
    const each = w === undefined ? share : k.mul(share, w)
    const spread = k.max(k.mul(x!, k.sub(one(k, x!), x!)), k.like(x!, 1e-12))
    const ofTarget = k.sub(boundedLog(k, k.sub(one(k, x!), x!)), boundedLog(k, x!))
    const dx = k.mul(each, k.div(k.sub(x!, y!), spread))
    return [dx, k.mul(each, ofTarget), ...(w === undefined ? [] : [k.mul(share, binaryEntropy(k, x!, y!))])]
  },
})

export const bceLoss: PairLoss<WeightedLossOptions> = defineFunction({
  name: 'bceLoss',
  precision: 'float32',
  doc: '-(y log(x) + (1 - y) log(1 - x)) for probabilities x and y; logarithms are at least -100. From logits use bceWithLogitsLoss.',
  call: ((x: Tensor, target: Tensor, { weight, reduction }: WeightedLossOptions = {}) =>
    elementwise('bceLoss', bcePrimitive, weight ? [x, target, weight] : [x, target], reduction, {})) as PairLoss<WeightedLossOptions>,
  samples: () => {
    const pair = [sampleTensor([3, 4], probability), sampleTensor([3, 4], probability)]
    return [
      { args: pair },
      { args: [...pair, { reduction: 'none' }] },
      { args: [...pair, { weight: sampleTensor([4], probability), reduction: 'sum' }] },
    ]
  },
})

/** Weights of elements and of the positive class, and how the loss is reduced. */
export interface BceWithLogitsOptions extends WeightedLossOptions {
  /** A factor for the positive part, broadcast to the input: above 1 it favours recall. */
  readonly posWeight?: Tensor | null
}

/* @__NO_SIDE_EFFECTS__ */
const bceWithLogits = (names: { readonly weight: boolean; readonly posWeight: boolean }) =>
  elementPrimitive<LossOptions>('bceWithLogitsLoss', (k, x, y, _, ...rest) => {
    const positive = names.posWeight ? k.mul(y, rest.at(-1)!) : y
    // y softplus(-x) + (1 - y) softplus(x), where softplus(x) = x + softplus(-x).
    const factor = k.add(positive, k.sub(one(k, y), y))
    const loss = k.add(k.mul(k.sub(one(k, y), y), x), k.mul(factor, softplusOf(k, k.neg(x))))
    return names.weight ? k.mul(loss, rest[0]!) : loss
  })

const bceWithLogitsPrimitives = {
  plain: bceWithLogits({ weight: false, posWeight: false }),
  weight: bceWithLogits({ weight: true, posWeight: false }),
  posWeight: bceWithLogits({ weight: false, posWeight: true }),
  both: bceWithLogits({ weight: true, posWeight: true }),
}

export const bceWithLogitsLoss: PairLoss<BceWithLogitsOptions> = defineFunction({
  name: 'bceWithLogitsLoss',
  precision: 'float32',
  doc: '-(y log(sigmoid(x)) + (1 - y) log(1 - sigmoid(x))) for logits x and probabilities y, without overflow.',
  call: ((x: Tensor, target: Tensor, { weight, posWeight, reduction }: BceWithLogitsOptions = {}) => {
    const primitive = bceWithLogitsPrimitives[weight ? (posWeight ? 'both' : 'weight') : posWeight ? 'posWeight' : 'plain']
    const rest = [weight, posWeight].filter((t) => t != null)
    return elementwise('bceWithLogitsLoss', primitive, [x, target, ...rest], reduction, {})
  }) as PairLoss<BceWithLogitsOptions>,
  samples: () => {
    const pair = [sampleTensor([3, 4]), sampleTensor([3, 4], probability)]
    const four = sampleTensor([4], { low: 0.5, high: 2 })
    return [
      { args: pair },
      { args: [...pair, { posWeight: four }] },
      { args: [...pair, { weight: four, reduction: 'sum' }] },
      { args: [...pair, { weight: four, posWeight: four, reduction: 'none' }] },
    ]
  },
})

/** Which terms the Gaussian loss has, and the least variance that it believes. */
export interface GaussianNllOptions extends LossOptions {
  readonly full?: boolean
  /** The least variance that counts. Default 1e-6. */
  readonly eps?: number
}

export const gaussianNllLoss: TripleLoss<GaussianNllOptions> = defineFunction({
  name: 'gaussianNllLoss',
  precision: 'float32',
  doc: '(log(v) + (x - y)² / v) / 2 for means x and variances v (at least eps), plus log(2 pi) / 2 if full. Nix and Weigend (1994).',
  call: ((x: Tensor, target: Tensor, variance: Tensor, { full = false, eps = 1e-6, reduction }: GaussianNllOptions = {}): Tensor => {
    if (!sameShape(x.shape, target.shape))
      throw new CotangentError('shape-mismatch', {
        op: 'gaussianNllLoss',
        message: 'input and target must have the same shape',
        shapes: [x.shape, target.shape],
      })
    // As in PyTorch, the bound on the variance does not stop its gradient.
    const bounded: Tensor = variance.add(variance.detach().clamp({ min: eps }).sub(variance.detach()))
    const d: Tensor = x.sub(target)
    const loss: Tensor = bounded.log().add(d.mul(d).div(bounded)).mul(0.5)
    return reduceLoss('gaussianNllLoss', full ? loss.add(0.5 * Math.log(2 * Math.PI)) : loss, reduction)
  }) as TripleLoss<GaussianNllOptions>,
  samples: () => {
    const inputs = [sampleTensor([3, 4]), sampleTensor([3, 4]), sampleTensor([3, 4], { low: 0.2, high: 2 })]
    return [{ args: inputs }, { args: [...inputs, { full: true, reduction: 'sum' }] }]
  },
})

export const marginRankingLoss: TripleLoss<HingeOptions> = defineFunction({
  name: 'marginRankingLoss',
  precision: 'float32',
  doc: 'max(0, margin - y (a - b)), for y = 1 where a should rank higher than b and -1 where lower.',
  call: ((a: Tensor, b: Tensor, target: Tensor, { margin = 0, reduction }: HingeOptions = {}): Tensor => {
    if (!sameShape(a.shape, target.shape) || !sameShape(b.shape, target.shape)) {
      throw new CotangentError('shape-mismatch', {
        op: 'marginRankingLoss',
        message: 'inputs and target must have the same shape',
        shapes: [a.shape, b.shape, target.shape],
      })
    }
    return hingeLoss(a.sub(b), target, { margin, ...(reduction && { reduction }) })
  }) as TripleLoss<HingeOptions>,
  samples: () => [{ args: [sampleTensor([5]), sampleTensor([5]), sampleTensor([5], { values: [1, -1, 1, -1, -1] }), { margin: 0.3 }] }],
})
