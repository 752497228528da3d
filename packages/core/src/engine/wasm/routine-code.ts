import type { DType } from '../../dtype.ts'
import { isContiguous, rowMajor } from '../../layout.ts'
import type { Operand, Routine, RoutineName } from '../routine.ts'
import { type ScalarType, scalarTypeOf } from '../scalar.ts'
import type { Epilogue } from './epilogue.ts'
import type { ByteType } from './gemm-pack-bytes.ts'
import type { HalfType } from './gemm-pack.ts'
import type { LaneType } from './lanes.ts'
import type { KernelRun } from './launch.ts'
import type { MatmulMode, RoutinePlan } from './matmul-plan.ts'
import type { StepCompiler } from './steps.ts'

/** What emitted code asks of an operand's strides. */
export type Layout = 'any' | 'lastContiguous' | 'lastUniform' | 'dense'

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
interface Recipe {
  /** One an input. The first may be `'output'`: it is converted straight into the first output, and is no operand of the code. */
  readonly demands: readonly (Demand | 'output')[]
  /** What the code writes; one an output. */
  readonly results: readonly LaneType[]
  /** The job for operands as demanded. The plan's pointers are the operands', then the outputs'. `variant`: see `variantsOf`. */
  job(operands: readonly Operand[], outputs: readonly Operand[], threads: number, variant?: MatmulMode): Job
}

/** The recipe of a routine that computes in `type`; `demand` asks for operands of that type. An epilogue becomes part of the code. */
export type RecipeRule<N extends RoutineName> = (
  routine: Routine<N>,
  type: LaneType,
  demand: (layout: Layout) => Demand,
  epilogue: Epilogue | undefined,
) => Recipe

/** How routines of one name are computed: by emitted code of their own, or as other programs. */
export type RoutineCode<N extends RoutineName> =
  | {
      readonly recipe: RecipeRule<N>
      /** Other ways in which the code may compute a routine in `type` than the one that the rules choose. */
      readonly variants?: (routine: Routine<N>, type: LaneType) => readonly MatmulMode[]
    }
  | { readonly composed: (routine: Routine<N>, compiler: StepCompiler) => KernelRun }

const codes = new Map<RoutineName, RoutineCode<never>>()

/** Says how routines of this name are computed. */
export function addCode<N extends RoutineName>(name: N, code: RoutineCode<N>): void {
  codes.set(name, code)
}

/** The routine as other programs, where that is how it is computed. */
export function composedOf(routine: Routine, compiler: StepCompiler): KernelRun | undefined {
  const code = codes.get(routine.name)
  return code && 'composed' in code ? code.composed(routine as never, compiler) : undefined
}

/** The type that a routine computes in when its result has a dtype of this scalar type. */
const computeType = { bool: 'int32', int32: 'int32', int64: 'int64', float32: 'float32', float64: 'float64' } as const satisfies Record<
  ScalarType,
  LaneType
>

const scalarOf = ({ outputs }: Routine): ScalarType => scalarTypeOf[outputs[0]!.dtype]

const maxSpatialRank = 3

/** Undefined where there is no emitted code: windows over more than three axes. An epilogue becomes part of a product's code. */
export function recipeOf(routine: Routine, epilogue?: Epilogue): Recipe | undefined {
  if ('kernel' in routine.attrs && routine.attrs.kernel.length > maxSpatialRank) return undefined
  const code = codes.get(routine.name)
  if (!code || !('recipe' in code)) return undefined
  const scalar = scalarOf(routine)
  const type = computeType[scalar]
  const demand = (layout: Layout): Demand => ({ dtype: type, layout, through: { scalar } })
  return code.recipe(routine as never, type, demand, epilogue)
}

/** Other ways in which emitted code may compute a routine than the one that the rules choose. */
export function variantsOf(routine: Routine): readonly MatmulMode[] {
  const code = codes.get(routine.name)
  return (code && 'variants' in code && code.variants?.(routine as never, computeType[scalarOf(routine)])) || []
}

/** An operand of places. */
export const indices: Demand = { dtype: 'int32', layout: 'any', through: { scalar: 'int32' } }

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
