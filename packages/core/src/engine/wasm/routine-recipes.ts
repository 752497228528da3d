import type { DType } from '../../dtype.ts'
import { isContiguous, rowMajor, sizeOf } from '../../layout.ts'
import type { Operand, Routine, RoutineName } from '../routine.ts'
import { type ScalarType, scalarTypeOf } from '../scalar.ts'
import type { CombineMode } from './combine.ts'
import { emitConvDepthwise, emitConvDepthwiseWeights } from './conv-depthwise.ts'
import { type ConvModule, type ConvPlan, type ConvProblem, planConv, planConvGradInput } from './conv-plan.ts'
import { emitConvWeights, planConvGradWeight } from './conv-weights.ts'
import { emitConvWindows } from './conv-windows.ts'
import { emitCumulative, planCumulative } from './cumulative.ts'
import { type Epilogue, planWithEpilogue } from './epilogue.ts'
import type { ByteOperands, ByteType } from './gemm-pack-bytes.ts'
import type { HalfType } from './gemm-pack.ts'
import type { LaneType } from './lanes.ts'
import { type MatmulMode, type MatmulProblem, modesFor, planMatmul, type RoutinePlan } from './matmul-plan.ts'
import { emitMatmul } from './matmul.ts'
import { emitMaxPoolGrad, planMaxPoolGrad } from './max-pool-grad.ts'
import type { ProductOptions } from './product-module.ts'
import { emitScatter, planScatter } from './scatter.ts'
import { emitSort, planSort } from './sort.ts'
import { emitWindowGather, planFold, planMaxPool } from './window-gather.ts'

/** What emitted code asks of an operand's strides. */
type Layout = 'any' | 'lastContiguous' | 'lastUniform' | 'dense'

/** Depthwise code reads the weights of neighbouring channels as vectors. */
const weightLayout = ({ groups }: { readonly groups: number }): Layout => (groups > 1 ? 'lastContiguous' : 'any')

/** An operand as the code wants it. Others are converted on each run. */
export interface Demand {
  readonly dtype: LaneType | HalfType | ByteType
  readonly layout: Layout
  /** What values are rounded to before they are converted to `dtype`. */
  readonly through: { readonly scalar: ScalarType; readonly narrow?: DType }
}

export interface RoutineModule {
  /** Equal modules have equal keys. */
  readonly key: string
  emit(options: { relaxed: boolean; shared: boolean }): Uint8Array<ArrayBuffer>
}

export interface Job {
  readonly plan: RoutinePlan
  readonly module: RoutineModule
}

/** How a routine is computed by emitted code. */
export interface Recipe {
  /** One an input. The first may be `'output'`: it is converted straight into the first output, and is no operand of the code. */
  readonly demands: readonly (Demand | 'output')[]
  /** What the code writes; one an output. */
  readonly results: readonly LaneType[]
  /** The job for operands as demanded. The plan's pointers are the operands', then the outputs'. `variant`: see `variantsOf`. */
  job(operands: readonly Operand[], outputs: readonly Operand[], threads: number, variant?: MatmulMode): Job
}

const maxSpatialRank = 3

/** The type that a routine computes in when its result has a dtype of this scalar type. */
const computeType = { bool: 'int32', int32: 'int32', int64: 'int64', float32: 'float32', float64: 'float64' } as const satisfies Record<
  ScalarType,
  LaneType
>

/** Undefined where there is no emitted code: windows over more than three axes, and what is made of other programs. An epilogue becomes part of a product's code. */
export function recipeOf(routine: Routine, epilogue?: Epilogue): Recipe | undefined {
  if ('kernel' in routine.attrs && routine.attrs.kernel.length > maxSpatialRank) return undefined
  const rule = recipes[routine.name as EmittedName]
  if (!rule) return undefined
  const result = routine.outputs[0]!.dtype
  const type = computeType[scalarTypeOf[result]]
  const demand = (layout: Layout): Demand => ({ dtype: type, layout, through: { scalar: scalarTypeOf[result] } })
  return rule(routine as never, type, demand, epilogue)
}

type RecipeRule<N extends RoutineName> = (
  routine: Routine<N>,
  type: LaneType,
  demand: (layout: Layout) => Demand,
  epilogue: Epilogue | undefined,
) => Recipe

const indices: Demand = { dtype: 'int32', layout: 'any', through: { scalar: 'int32' } }
const denseIndices: Demand = { ...indices, layout: 'dense' }

/** Recurrent layers and attention are made of products and kernels: recurrent.ts, attention.ts. */
type EmittedName = Exclude<RoutineName, 'recurrent' | 'recurrentGrad' | 'attention' | 'attentionGrad'>

const recipes: { readonly [N in EmittedName]: RecipeRule<N> } = {
  matmul({ inputs, outputs }, type, demand, epilogue) {
    // Panels are no gain for a single row: there, converting the matrix takes half the time.
    const singleRow = outputs[0]!.shape.at(-2) === 1 && inputs[1]!.strides.at(-1) === 1
    /** Numbers of half precision become wider on their way into panels. */
    const asItIs = ({ dtype }: Operand): Demand =>
      type === 'float32' && isHalf(dtype) && !singleRow ? { ...demand('any'), dtype } : demand('any')
    const bytes = bytesOf(type, inputs)
    return {
      demands: byteDemands(bytes, asItIs(inputs[0]!), asItIs(inputs[1]!), demand('lastUniform')),
      results: [type],
      job([a, b, bias], [y], threads, mode) {
        const problem = { ...matmulProblem(type, a!, b!, bias, y!, threads), mode, bytes }
        const halves = { a: problem.a.half, b: problem.b.half }
        return productJob('matmul', planMatmul(problem), { type, bias: bias !== undefined, epilogue, halves, bytes })
      },
    }
  },

  conv({ attrs, inputs }, type, demand, epilogue) {
    const bytes = isDepthwise(attrs, inputs[1]!) ? undefined : bytesOf(type, inputs)
    return {
      demands: byteDemands(bytes, demand('lastContiguous'), demand(weightLayout(attrs)), demand('lastUniform')),
      results: [type],
      job: ([x, w, bias], [y], threads) =>
        convJob(planConv, { ...attrs, type, x: x!, w: w!, y: y!, threads, ...biasOf(bias), bytes }, epilogue),
    }
  },

  convGradInput({ attrs, inputs }, type, demand, epilogue) {
    const bytes = isDepthwise(attrs, inputs[1]!) ? undefined : bytesOf(type, inputs)
    return {
      demands: byteDemands(bytes, demand('lastContiguous'), demand(weightLayout(attrs))),
      results: [type],
      job: ([y, w], [x], threads) => convJob(planConvGradInput, { ...attrs, type, x: x!, w: w!, y: y!, threads, bytes }, epilogue),
    }
  },

  convGradWeight: ({ attrs }, type, demand, epilogue) => ({
    demands: [demand('lastContiguous'), demand('dense')],
    results: [type],
    job: ([x, y], [w], threads) => convJob(planConvGradWeight, { ...attrs, type, x: x!, w: w!, y: y!, threads }, epilogue),
  }),

  maxPool: ({ attrs, outputs }, type, demand) => ({
    demands: [demand('lastContiguous')],
    results: [type, 'int32'],
    job: ([x], [y]) => ({
      plan: planMaxPool(attrs, x!, y!, type, outputs[0]!.dtype),
      module: { key: `maxPool ${type}`, emit: ({ shared }) => emitWindowGather({ type, combine: 'max', shared }) },
    }),
  }),

  maxPoolGrad: (_, type, demand) => ({
    demands: [demand('dense'), denseIndices],
    results: [type],
    job: ([gradient], [x]) => ({
      plan: planMaxPoolGrad(gradient!, x!, type),
      module: { key: `maxPoolGrad ${type}`, emit: ({ shared }) => emitMaxPoolGrad({ type, shared }) },
    }),
  }),

  fold: ({ attrs }, type, demand) => ({
    demands: [demand('lastContiguous')],
    results: [type],
    job: ([x], [y]) => ({
      plan: planFold(attrs, x!, y!, type),
      module: { key: `fold ${type}`, emit: ({ shared }) => emitWindowGather({ type, combine: 'sum', shared }) },
    }),
  }),

  sort: ({ attrs, inputs }, type, demand) => ({
    demands: [demand('dense')],
    results: [type, 'int32'],
    job() {
      const { shape } = inputs[0]!
      const length = shape.at(-1) ?? 1
      return {
        plan: planSort(sizeOf(shape) / length, length, attrs.descending, type),
        module: { key: `sort ${type}`, emit: ({ shared }) => emitSort({ type, shared }) },
      }
    },
  }),

  scatter({ attrs: { axis, mode }, inputs: [, index] }, type, demand) {
    // Rows of the source that go to one place have to be contiguous.
    const byRows = index!.shape.at(-1)! > 1 && index!.strides.at(-1) === 0 && axis < index!.shape.length - 1
    return {
      demands: ['output', indices, demand(byRows ? 'dense' : 'any')],
      results: [type],
      job: ([at, source], [y], threads) => ({
        plan: planScatter(axis, at!, source!, y!, type, threads),
        module: { key: `scatter ${mode} ${type}`, emit: ({ shared }) => emitScatter({ type, mode, shared }) },
      }),
    }
  },

  cumulative({ attrs: { axis, combine, reverse }, outputs }, type, demand) {
    const mode: CombineMode = ({ sum: 'add', prod: 'mul', max: 'max', min: 'min' } as const)[combine]
    const x = demand('dense')
    return {
      demands: [{ ...x, through: { ...x.through, narrow: outputs[0]!.dtype } }],
      results: [type],
      job: ([operand]) => ({
        plan: planCumulative(operand!, axis, reverse, type),
        module: { key: `cumulative ${mode} ${type}`, emit: ({ shared }) => emitCumulative({ type, mode, shared }) },
      }),
    }
  },
}

/** Other ways in which emitted code may compute a routine than the one that the rules choose. */
export function variantsOf({ name, inputs, outputs }: Routine): readonly MatmulMode[] {
  const type = computeType[scalarTypeOf[outputs[0]!.dtype]]
  // Operands that are converted, or widen on their way into panels, have one mode.
  if (name !== 'matmul' || sizeOf(inputs[0]!.shape) === 0 || inputs.some(({ dtype }) => dtype !== type)) return []
  const [a, b, y] = [...inputs.slice(0, 2), outputs[0]!].map(tidy) as [Operand, Operand, Operand]
  return modesFor(matmulProblem(type, a, b, undefined, y, 1))
}

const productEmitters = {
  matmul: emitMatmul,
  windows: emitConvWindows,
  depthwise: emitConvDepthwise,
  weights: emitConvWeights,
  depthwiseWeights: emitConvDepthwiseWeights,
} as const satisfies Record<ConvModule | 'matmul', (options: ProductOptions) => Uint8Array<ArrayBuffer>>

function productJob(name: keyof typeof productEmitters, plan: RoutinePlan, options: Omit<ProductOptions, 'relaxed' | 'shared'>): Job {
  const { type, bias = false, epilogue, halves = {}, bytes } = options
  return {
    plan: epilogue ? planWithEpilogue(plan, epilogue) : plan,
    module: {
      key: `${name} ${type} ${bias} ${halves.a ?? ''} ${halves.b ?? ''} ${bytes?.a ?? ''} ${bytes?.b ?? ''} ${epilogue?.key ?? ''}`,
      emit: (environment) => productEmitters[name]({ ...options, ...environment }),
    },
  }
}

function convJob(plan: (problem: ConvProblem) => ConvPlan, problem: ConvProblem, epilogue: Epilogue | undefined): Job {
  const made = plan(problem)
  return productJob(made.module, made, { type: problem.type, bias: problem.bias !== undefined, epilogue, bytes: problem.bytes })
}

const biasOf = (bias: Operand | undefined) => ({ bias: bias && { column: bias.strides[0]! } })

const isByte = (dtype: DType): dtype is ByteType => dtype === 'int8' || dtype === 'uint8'

/** The dtypes of an int32 product's operands, where both are bytes. */
function bytesOf(type: LaneType, [a, b]: readonly Operand[]): ByteOperands | undefined {
  return type === 'int32' && isByte(a!.dtype) && isByte(b!.dtype) ? { a: a!.dtype, b: b!.dtype } : undefined
}

/** What is asked of a product's operands, which stay as they are where they are bytes. */
function byteDemands(bytes: ByteOperands | undefined, a: Demand, b: Demand, ...others: readonly Demand[]): readonly Demand[] {
  return bytes ? [{ ...a, dtype: bytes.a }, { ...b, dtype: bytes.b }, ...others] : [a, b, ...others]
}

/** One channel in and one out a group. */
const isDepthwise = ({ groups }: { readonly groups: number }, { shape }: Operand) =>
  groups > 1 && shape.at(-2) === 1 && shape.at(-1) === groups

const isHalf = (dtype: DType): dtype is HalfType => dtype === 'bfloat16' || dtype === 'float16'
const halfOf = ({ dtype }: Operand): HalfType | undefined => (isHalf(dtype) ? dtype : undefined)

function matmulProblem(type: LaneType, a: Operand, b: Operand, bias: Operand | undefined, y: Operand, threads: number): MatmulProblem {
  const rank = y.shape.length
  const [row, column] = [rank - 2, rank - 1]
  const batch: { size: number; a: number; b: number; c: number }[] = []
  let m = y.shape[row]!
  for (let axis = row - 1; axis >= 0; axis--) {
    const [size, ofA, ofB, ofC] = [y.shape[axis]!, a.strides[axis]!, b.strides[axis]!, y.strides[axis]!]
    const inner = batch[0]
    if (size === 1) continue
    if (!inner && ofB === 0 && ofA === m * a.strides[row]!) {
      // One matrix of more rows: a batch of vectors times the same weights.
      m *= size
    } else if (inner && ofA === inner.size * inner.a && ofB === inner.size * inner.b) {
      batch[0] = { ...inner, size: size * inner.size }
    } else {
      batch.unshift({ size, a: ofA, b: ofB, c: ofC })
    }
  }
  return {
    type,
    m,
    n: y.shape[column]!,
    k: a.shape[column]!,
    a: { row: a.strides[row]!, column: a.strides[column]!, half: halfOf(a) },
    b: { row: b.strides[row]!, column: b.strides[column]!, half: halfOf(b) },
    c: { row: y.strides[row]! },
    batch,
    threads,
    ...biasOf(bias),
  }
}

/** Whether an operand can be used where it lies. */
export function satisfies({ dtype, shape, strides }: Operand, demand: Demand): boolean {
  const { scalar, narrow = dtype } = demand.through
  if (dtype !== demand.dtype || scalarTypeOf[dtype] !== scalar || dtype !== narrow) return false
  const last = strides.at(-1) ?? 1
  switch (demand.layout) {
    case 'any':
      return true
    case 'lastContiguous':
      return last === 1
    case 'lastUniform':
      return last === 0 || last === 1
    case 'dense':
      return isContiguous(shape, strides)
  }
}

/** Strides of axes of size 1 mean nothing; here they are what a dense operand has. */
export function tidy(operand: Operand): Operand {
  const dense = rowMajor(operand.shape)
  return { ...operand, strides: operand.strides.map((s, axis) => (operand.shape[axis] === 1 ? dense[axis]! : s)) }
}
