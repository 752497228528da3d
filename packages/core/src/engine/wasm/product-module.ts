import type { Operand } from '../routine.ts'
import { ModuleBuilder } from './assembler.ts'
import { importMath } from './emit-node.ts'
import type { Epilogue, Finish } from './epilogue.ts'
import type { FunctionRef } from './function-builder.ts'
import type { ByteOperands } from './gemm-pack-bytes.ts'
import type { HalfType } from './gemm-pack.ts'
import { type Lanes, lanesOf, type LaneType, pairLanes } from './lanes.ts'
import type { RoutinePlan } from './matmul-plan.ts'
import type { Job } from './routine-code.ts'
import { emitStoreLanes } from './store-lanes.ts'
import type { ModuleContext } from './vector-code.ts'

/** What the modules of matrix products and convolutions are made for. */
export interface ProductOptions {
  type: LaneType
  /** Fuse multiply-add where the runtime can. */
  relaxed: boolean
  /** Whether a vector is added to every row of the result. */
  bias?: boolean
  epilogue?: Epilogue | undefined
  /** Operands of a float32 matrix product that become float32 while they are packed. */
  halves?: { readonly a?: HalfType | undefined; readonly b?: HalfType | undefined }
  /** Operands of an int32 product of bytes. */
  bytes?: ByteOperands | undefined
  /** Whether the memory is shared; the module has to agree with it. */
  shared: boolean
}

/** What these modules begin with. */
export interface ProductModule {
  readonly m: ModuleBuilder
  readonly lanes: Lanes
  readonly storeLanes: FunctionRef
  readonly epilogue: Epilogue | undefined
  /** What the module's functions share. */
  readonly context: ModuleContext
  /** Applies the epilogue, if there is one: see `emitFinish`. */
  readonly finish: Finish | undefined
}

export function startProduct({ type, relaxed, epilogue, shared, bytes }: ProductOptions): ProductModule {
  const lanes = bytes ? pairLanes : lanesOf(type, relaxed)
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  const math = importMath(m, epilogue?.nodes ?? [])
  const storeLanes = emitStoreLanes(m, lanes)
  const context: ModuleContext = { module: m, lanes: lanes.count, relaxed, math, helpers: new Map() }
  const finish = epilogue?.emitFinish(m, lanes, context, storeLanes)
  return { m, lanes, storeLanes, epilogue, context, finish }
}

/** The job of a product whose code `emit` makes; `name` tells one kind of code from others. */
export function productJob(
  name: string,
  emit: (options: ProductOptions) => Uint8Array<ArrayBuffer>,
  plan: RoutinePlan,
  options: Omit<ProductOptions, 'relaxed' | 'shared'>,
): Job {
  const { type, bias = false, epilogue, halves = {}, bytes } = options
  return {
    plan: epilogue?.planWith(plan) ?? plan,
    module: {
      key: `${name} ${type} ${bias} ${halves.a ?? ''} ${halves.b ?? ''} ${bytes?.a ?? ''} ${bytes?.b ?? ''} ${epilogue?.key ?? ''}`,
      emit: (environment) => emit({ ...options, ...environment }),
    },
  }
}

/** A bias as problems describe it. */
export const biasOf = (bias: Operand | undefined) => ({ bias: bias && { column: bias.strides[0]! } })
