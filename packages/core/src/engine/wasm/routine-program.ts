import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { KernelBuilder } from '../kernel.ts'
import type { Operand, Routine } from '../routine.ts'
import { type ScalarType, scalarTypeOf } from '../scalar.ts'
import { emitConvDepthwise, emitConvDepthwiseWeights } from './conv-depthwise.ts'
import { type ConvProblem, planConv, planConvGradInput } from './conv-plan.ts'
import { emitConvWeights, planConvGradWeight } from './conv-weights.ts'
import { emitConvWindows } from './conv-windows.ts'
import { addBias } from './epilogue.ts'
import { noEpilogue } from './gemm-kernel.ts'
import type { Heap } from './heap.ts'
import type { KernelCompiler, KernelRun } from './kernel-program.ts'
import type { LaneType } from './lanes.ts'
import { planMatmul, type RoutinePlan } from './matmul-plan.ts'
import { emitMatmul, type MatmulOptions } from './matmul.ts'
import type { Pool, PoolFunction } from './pool.ts'

const emitters = {
  matmul: emitMatmul,
  windows: emitConvWindows,
  depthwise: emitConvDepthwise,
  weights: emitConvWeights,
  depthwiseWeights: emitConvDepthwiseWeights,
} as const satisfies Record<string, (options: MatmulOptions) => Uint8Array<ArrayBuffer>>

type ModuleName = keyof typeof emitters

/** Multiply-adds that are worth a thread of their own. */
const GRAIN = 131072

/** What the emitted code asks of its operands beyond the type. */
type Demand = 'any' | 'lastContiguous' | 'lastUniform' | 'dense'

interface Recipe {
  /** One an input. */
  readonly demands: readonly Demand[]
  plan(inputs: readonly Operand[], output: Operand, type: LaneType): RoutinePlan & { module: ModuleName }
}

/** Turns routines into calls of emitted code, for those that there is emitted code for. */
export class RoutineCompiler {
  readonly #heap: Heap
  readonly #pool: Pool
  readonly #kernels: KernelCompiler
  readonly #functions = new Map<string, PoolFunction>()
  /** Argument blocks go when the programs that they belong to are forgotten. */
  readonly #arguments: FinalizationRegistry<number>

  constructor(heap: Heap, pool: Pool, kernels: KernelCompiler) {
    this.#heap = heap
    this.#pool = pool
    this.#kernels = kernels
    this.#arguments = new FinalizationRegistry((pointer) => heap.free(pointer))
  }

  /** Undefined where the reference has to do it. */
  prepare(routine: Routine): KernelRun | undefined {
    const recipe = recipeOf(routine, this.#pool.threads)
    const [output] = routine.outputs as [Operand]
    if (!recipe || routine.inputs.some((o) => sizeOf(o.shape) === 0)) return undefined
    if (sizeOf(output.shape) === 0) return () => {}
    const type = computeType[scalarTypeOf[output.dtype]]
    const staged = routine.inputs.map((operand, i) => this.#stage(tidy(operand), type, recipe.demands[i]!))
    const result =
      type === output.dtype ? undefined : this.#convert({ ...output, dtype: type, strides: rowMajor(output.shape) }, output.dtype)
    const plan = recipe.plan(
      staged.map((s) => s.operand),
      { ...output, dtype: type, strides: rowMajor(output.shape) },
      type,
    )
    const launch = this.#launcher(plan, type, routine.inputs.length > 2)
    const temporaries = [...staged.map((s) => s.bytes), result ? sizeOf(output.shape) * dtypeInfo[type].size : 0]
    if (temporaries.every((bytes) => bytes === 0)) return launch
    const heap = this.#heap
    return (pointers) => {
      const used: number[] = []
      try {
        const inner = pointers.map((pointer, i) => {
          if (!temporaries[i]) return pointer
          used.push(heap.alloc(temporaries[i]!))
          return used.at(-1)!
        })
        staged.forEach((s, i) => s.copy?.([pointers[i]!, inner[i]!], []))
        launch(inner, [])
        result?.([inner.at(-1)!, pointers.at(-1)!], [])
      } finally {
        for (const pointer of used) heap.free(pointer)
      }
    }
  }

  /** The operand as the code wants it: itself, or a dense copy made on each run. */
  #stage(operand: Operand, type: LaneType, demand: Demand): { operand: Operand; bytes: number; copy?: KernelRun } {
    if (operand.dtype === type && satisfies(operand, demand)) return { operand, bytes: 0 }
    const dense = { shape: operand.shape, dtype: type, strides: rowMajor(operand.shape) }
    return { operand: dense, bytes: sizeOf(operand.shape) * dtypeInfo[type].size, copy: this.#convert(operand, type) }
  }

  /** A kernel that writes an operand densely in another dtype. */
  #convert({ dtype, shape, strides }: Operand, to: DType): KernelRun {
    const b = new KernelBuilder('convert', shape)
    b.output(to, b.load(b.input(dtype), strides))
    return this.#kernels.prepare(b.build())
  }

  #launcher(plan: RoutinePlan & { module: ModuleName }, type: LaneType, withBias: boolean): KernelRun {
    const heap = this.#heap
    const pool = this.#pool
    const launch = this.#function(plan.module, type, withBias)
    const block = heap.alloc(plan.words.byteLength)
    heap.i32.set(plan.words, block >>> 2)
    const { tasks, scratchBytes } = plan
    const threads = Math.max(1, Math.min(pool.threads, Math.round(plan.work / GRAIN)))
    const grain = Math.ceil(tasks / threads)
    // Results lie behind the first two inputs, a bias behind the result.
    const places = withBias ? [plan.pointers[0]!, plan.pointers[1]!, plan.pointers[3]!, plan.pointers[2]!] : plan.pointers
    const words = places.map((at) => (block >>> 2) + at)
    const args = [block, 0, 0]
    const run: KernelRun = (pointers) => {
      const scratch = pool.scratch(scratchBytes)
      args[1] = scratch.pointer
      args[2] = scratch.stride
      const { i32 } = heap
      for (let i = 0; i < pointers.length; i++) i32[words[i]!] = pointers[i]!
      pool.run(launch, tasks, grain, args)
    }
    this.#arguments.register(run, block)
    return run
  }

  #function(module: ModuleName, type: LaneType, withBias: boolean): PoolFunction {
    const key = `${module} ${type} ${withBias}`
    let known = this.#functions.get(key)
    if (!known) {
      const { relaxed } = this.#kernels
      const bytes = emitters[module]({ type, relaxed, shared: this.#heap.shared, epilogue: withBias ? addBias : noEpilogue })
      known = { ...this.#pool.load(bytes).functions['launch']!, name: module }
      this.#functions.set(key, known)
    }
    return known
  }
}

/** The type that a routine computes in when its result has a dtype of this scalar type. */
const computeType = { bool: 'int32', int32: 'int32', int64: 'int64', float32: 'float32', float64: 'float64' } as const satisfies Record<
  ScalarType,
  LaneType
>

/** Strides of axes of size 1 mean nothing; here they are what a dense operand has. */
function tidy(operand: Operand): Operand {
  const dense = rowMajor(operand.shape)
  return { ...operand, strides: operand.strides.map((s, axis) => (operand.shape[axis] === 1 ? dense[axis]! : s)) }
}

function satisfies({ shape, strides }: Operand, demand: Demand): boolean {
  const last = strides.at(-1) ?? 1
  switch (demand) {
    case 'any':
      return true
    case 'lastContiguous':
      return last === 1
    case 'lastUniform':
      return last === 0 || last === 1
    case 'dense':
      return rowMajor(shape).every((s, axis) => s === strides[axis])
  }
}

function recipeOf(routine: Routine, threads: number): Recipe | undefined {
  const { name, inputs, outputs } = routine
  if (name === 'matmul')
    return { demands: ['any', 'any', 'lastUniform'], plan: (operands, y, type) => matmulPlan(operands, y, type, threads) }
  if (name !== 'conv' && name !== 'convGradInput' && name !== 'convGradWeight') return undefined
  if (outputs[0]!.dtype === 'bool' || (inputs[0]!.shape.length ?? 0) > 5) return undefined
  const { stride, padding, dilation, groups } = (routine as Routine<'conv'>).attrs
  const problem = { stride, padding, dilation, groups, threads }
  switch (name) {
    case 'conv':
      return {
        demands: ['lastContiguous', 'any', 'lastUniform'],
        plan: ([x, w, bias], y, type) => convPlan(planConv, { ...problem, type, x: x!, w: w!, y, ...biasOf(bias) }),
      }
    case 'convGradInput':
      return {
        demands: ['lastContiguous', 'any'],
        plan: ([y, w], x, type) => convPlan(planConvGradInput, { ...problem, type, x, w: w!, y: y! }),
      }
    case 'convGradWeight':
      return {
        demands: ['lastContiguous', 'dense'],
        plan: ([x, y], w, type) => convPlan(planConvGradWeight, { ...problem, type, x: x!, w, y: y! }),
      }
  }
}

const convPlan = (plan: typeof planConv, problem: ConvProblem) => plan(problem)

/** A bias as the epilogue's operand: the same in every row. */
const biasOf = (bias: Operand | undefined) => (bias ? { operands: [{ row: 0, column: bias.strides[0]! }] } : {})

function matmulPlan([a, b, bias]: readonly Operand[], y: Operand, type: LaneType, threads: number) {
  const [aStrides, bStrides, yStrides] = [a!.strides, b!.strides, y.strides]
  const rank = y.shape.length
  const batch = y.shape.slice(0, -2).map((size, axis) => ({ size, a: aStrides[axis]!, b: bStrides[axis]!, c: yStrides[axis]! }))
  const plan = planMatmul({
    type,
    m: y.shape[rank - 2]!,
    n: y.shape[rank - 1]!,
    k: a!.shape[rank - 1]!,
    a: { row: aStrides[rank - 2]!, column: aStrides[rank - 1]! },
    b: { row: bStrides[rank - 2]!, column: bStrides[rank - 1]! },
    c: { row: yStrides[rank - 2]! },
    batch,
    threads,
    ...biasOf(bias),
  })
  return { ...plan, module: 'matmul' as const }
}
