import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import { type Operand, type Routine, withoutEpilogue } from '../routine.ts'
import { planEpilogue } from './epilogue.ts'
import type { Heap } from './heap.ts'
import type { KernelCompiler, KernelRun } from './kernel-program.ts'
import type { Pool, PoolFunction } from './pool.ts'
import { type Demand, type Job, type RoutineModule, productNames, recipeOf, satisfies, tidy } from './routine-recipes.ts'

const GRAIN = 131072
/** Scratch memory a thread up to which it is kept between runs. */
const KEPT_SCRATCH = 2 ** 20

/** Turns routines into calls of emitted code, for those that there is emitted code for. */
export class RoutineCompiler {
  readonly #heap: Heap
  readonly #pool: Pool
  readonly #kernels: KernelCompiler
  readonly #grain: number
  readonly #functions = new Map<string, PoolFunction>()
  /** Argument blocks go when the programs that they belong to are forgotten. */
  readonly #arguments: FinalizationRegistry<number>

  /** @param options.grain Multiply-adds that are worth a thread of their own. */
  constructor(heap: Heap, pool: Pool, kernels: KernelCompiler, options: { grain?: number } = {}) {
    this.#heap = heap
    this.#pool = pool
    this.#kernels = kernels
    this.#grain = options.grain ?? GRAIN
    this.#arguments = new FinalizationRegistry((pointer) => heap.free(pointer))
  }

  /** Undefined where the reference has to do it. */
  prepare(routine: Routine): KernelRun | undefined {
    if (routine.outputs.every((o) => sizeOf(o.shape) === 0)) return () => {}
    const epilogue = routine.epilogue && productNames.has(routine.name) ? planEpilogue(routine.epilogue) : undefined
    if (routine.epilogue && !epilogue) return this.#separately(routine, routine.epilogue)
    const plain = withoutEpilogue(routine)
    const recipe = recipeOf(plain, epilogue)
    if (!recipe) return undefined
    const { demands, results } = recipe
    const { inputs } = plain
    const outputs = epilogue ? [] : plain.outputs
    const written = plain.outputs.map(({ shape }, o): Operand => ({ dtype: results[o]!, shape, strides: rowMajor(shape) }))
    const steps: Step[] = []
    const finish: Step[] = []
    const operands: Operand[] = []
    // Buffers: the routine's own, then temporaries.
    const own = routine.inputs.length + routine.outputs.length
    const temporaries: number[] = []
    const temporary = ({ dtype, shape }: Operand) => own + temporaries.push(sizeOf(shape) * dtypeInfo[dtype].size) - 1
    const outputAt = outputs.map(({ dtype }, o) => (dtype === results[o] ? inputs.length + o : temporary(written[o]!)))
    const operandAt: number[] = []
    inputs.forEach((input, i) => {
      const demand = demands[i]!
      if (demand === 'output') {
        const through = (demands[i + 2] as Demand).through
        steps.push({ run: this.#convert(input, results[0]!, through), buffers: [i, outputAt[0]!] })
        return
      }
      const operand = tidy(input)
      if (satisfies(operand, demand)) {
        operands.push(operand)
        operandAt.push(i)
        return
      }
      const dense = { dtype: demand.dtype, shape: input.shape, strides: rowMajor(input.shape) }
      operands.push(dense)
      operandAt.push(temporary(dense))
      steps.push({ run: this.#convert(input, demand.dtype, demand.through), buffers: [i, operandAt.at(-1)!] })
    })
    outputs.forEach(({ dtype }, o) => {
      const at = inputs.length + o
      if (outputAt[o] !== at) finish.push({ run: this.#convert(written[o]!, dtype), buffers: [outputAt[o]!, at] })
    })
    const { launch, unfinished } = this.#launcher((threads) => recipe.job(operands, written, threads))
    if (epilogue) {
      const first = routine.inputs.length
      const operandsAt = epilogue.operands.map(({ input }) => inputs.length + input - 1)
      const all = (raw: number, bytes: readonly number[]) => {
        const buffers = [...operandAt, raw, raw, ...operandsAt, ...routine.outputs.map((_, o) => first + o)]
        return sequence(this.#heap, bytes, [...steps, { run: launch, buffers, scalars: true }])
      }
      const inPlace = all(first, temporaries)
      if (!unfinished) return inPlace
      // Sums are finished piece by piece in the first output's memory, unless an operand is there.
      const elsewhere = all(temporary(written[0]!), temporaries)
      return (pointers, scalars) => (operandsAt.some((at) => pointers[at] === pointers[first]) ? elsewhere : inPlace)(pointers, scalars)
    }
    const direct = steps.length + finish.length === 0
    return direct ? launch : sequence(this.#heap, temporaries, [...steps, { run: launch, buffers: [...operandAt, ...outputAt] }, ...finish])
  }

  /** The raw result goes through memory. */
  #separately(routine: Routine, epilogue: Kernel): KernelRun | undefined {
    const plain = withoutEpilogue(routine)
    const run = this.prepare(plain)
    if (!run) return undefined
    const own = plain.inputs.length
    const count = routine.inputs.length + routine.outputs.length
    const others = Array.from({ length: count - own }, (_, i) => own + i)
    const { dtype, shape } = plain.outputs[0]!
    return sequence(
      this.#heap,
      [sizeOf(shape) * dtypeInfo[dtype].size],
      [
        { run, buffers: [...plain.inputs.keys(), count] },
        { run: this.#kernels.prepare(epilogue), buffers: [count, ...others], scalars: true },
      ],
    )
  }

  /** A kernel that writes an operand densely in another dtype. */
  #convert({ dtype, shape, strides }: Operand, to: DType, through?: Demand['through']): KernelRun {
    const k = new KernelBuilder('convert', shape)
    let value = k.load(k.input(dtype), strides)
    if (through) value = through.narrow ? k.narrow(value, through.narrow) : k.cast(value, through.scalar)
    k.output(to, value)
    return this.#kernels.prepare(k.build())
  }

  /** Runs the job; `unfinished`: see `RoutinePlan`. */
  #launcher(job: (threads: number) => Job): { launch: KernelRun; unfinished: boolean } {
    const heap = this.#heap
    const pool = this.#pool
    const { module, plan } = job(1)
    const code = this.#function(module)
    const { tasks, scratchBytes } = plan
    const unfinished = plan.epilogue?.unfinished ?? false
    if (tasks === 0) return { launch: () => {}, unfinished }
    const block = heap.alloc(plan.words.byteLength)
    const words = plan.pointers.map((at) => (block >>> 2) + at)
    const params = (block + 4 * (plan.params ?? 0)) >>> 3
    const args = [block, 0, 0]
    // The cut is made for the threads there are at the first run, and made anew when their number changes.
    let current = { threads: 0, tasks, grain: tasks, scratchBytes }
    const cut = () => {
      const threads = Math.max(1, Math.min(pool.threads, Math.round(plan.work / this.#grain)))
      const made = threads === 1 ? plan : job(threads).plan
      heap.i32.set(made.words, block >>> 2)
      current = { threads: pool.threads, tasks: made.tasks, grain: grainOf(made.tasks, threads), scratchBytes: made.scratchBytes }
    }
    const launch: KernelRun = (pointers, scalars) => {
      if (current.threads !== pool.threads) cut()
      let large = 0
      if (current.scratchBytes > KEPT_SCRATCH) {
        const stride = Math.ceil(current.scratchBytes / 64) * 64
        large = heap.alloc(current.tasks > current.grain ? stride * pool.threads : stride)
        args[1] = large
        args[2] = stride
      } else if (current.scratchBytes > 0) {
        const { pointer, stride } = pool.scratch(current.scratchBytes)
        args[1] = pointer
        args[2] = stride
      }
      const { i32 } = heap
      for (let i = 0; i < words.length; i++) i32[words[i]!] = pointers[i]!
      if (scalars.length) heap.f64.set(scalars, params)
      try {
        pool.run(code, current.tasks, current.grain, args)
      } finally {
        if (large) heap.free(large)
      }
    }
    this.#arguments.register(launch, block)
    return { launch, unfinished }
  }

  #function(module: RoutineModule): PoolFunction {
    let known = this.#functions.get(module.key)
    if (!known) {
      const bytes = module.emit({ relaxed: this.#kernels.relaxed, shared: this.#heap.shared })
      known = { ...this.#pool.load(bytes).functions['launch']!, name: module.key }
      this.#functions.set(module.key, known)
    }
    return known
  }
}

/** Some ranges a thread even out their work, but neighbouring tasks share some, so a range holds a few. */
function grainOf(tasks: number, threads: number): number {
  const share = Math.ceil(tasks / threads)
  return Math.max(Math.min(share, 4), Math.ceil(share / 4))
}

interface Step {
  readonly run: KernelRun
  /** Which of the buffers it works on. */
  readonly buffers: readonly number[]
  /** Whether the scalars of the run are its params. */
  readonly scalars?: boolean
}

/** Runs steps one after the other over the buffers given and temporaries of so many bytes. */
function sequence(heap: Heap, temporaries: readonly number[], steps: readonly Step[]): KernelRun {
  const all: number[] = []
  const prepared = steps.map((step) => ({ ...step, pointers: step.buffers.map(() => 0) }))
  return (given, params) => {
    const own = given.length
    for (let i = 0; i < own; i++) all[i] = given[i]!
    let allocated = 0
    try {
      while (allocated < temporaries.length) {
        all[own + allocated] = heap.alloc(temporaries[allocated]!)
        allocated++
      }
      for (const { run, buffers, pointers, scalars } of prepared) {
        for (let i = 0; i < buffers.length; i++) pointers[i] = all[buffers[i]!]!
        run(pointers, scalars ? params : noScalars)
      }
    } finally {
      for (let i = 0; i < allocated; i++) heap.free(all[own + i]!)
    }
  }
}

const noScalars: readonly number[] = []
