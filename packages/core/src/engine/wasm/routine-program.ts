import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, sizeOf } from '../../layout.ts'
import { autotune } from '../autotune.ts'
import { type Kernel, KernelBuilder } from '../kernel.ts'
import { type Operand, productNames, type Routine, withoutEpilogue } from '../routine.ts'
import { type BackendLauncher, KEPT_SCRATCH } from './backend-launch.ts'
import { epilogueOver } from './epilogue.ts'
import type { Heap } from './heap.ts'
import type { KernelCompiler } from './kernel-program.ts'
import { type KernelRun, type Launch, type PackedBuffer, runOf } from './launch.ts'
import type { MatmulMode } from './matmul-plan.ts'
import type { Pool, PoolFunction } from './pool.ts'
import { programCode } from './program-code.ts'
import { composedOf, type Demand, type Job, type RoutineModule, recipeOf, satisfies, tidy, variantsOf } from './routine-code.ts'
import type { Tuner, Way } from './tuner.ts'

const GRAIN = 131072

/** Turns routines into calls of a backend, or else of emitted code, for those that there is emitted code for. */
export class RoutineCompiler {
  readonly #heap: Heap
  readonly #pool: Pool
  readonly #kernels: KernelCompiler
  readonly #backends: BackendLauncher | undefined
  readonly #makeTuner: (() => Tuner | undefined) | undefined
  #tuner: Tuner | undefined
  readonly #grain: number
  readonly #functions = new Map<string, PoolFunction>()
  /** Argument blocks go when the programs that they belong to are forgotten. */
  readonly #arguments: FinalizationRegistry<number>

  /** @param options.grain Multiply-adds that are worth a thread of their own. */
  constructor(
    heap: Heap,
    pool: Pool,
    kernels: KernelCompiler,
    options: { grain?: number; backends?: BackendLauncher | undefined; tuner?: () => Tuner | undefined } = {},
  ) {
    this.#heap = heap
    this.#pool = pool
    this.#kernels = kernels
    this.#backends = options.backends
    this.#makeTuner = options.tuner
    this.#grain = options.grain ?? GRAIN
    this.#arguments = new FinalizationRegistry((pointer) => heap.free(pointer))
  }

  /** Undefined where the reference has to do it. */
  prepare(routine: Routine): KernelRun | undefined {
    if (routine.outputs.every((o) => sizeOf(o.shape) === 0)) return () => {}
    if (autotune()) this.#tuner ??= this.#makeTuner?.()
    const tuned = autotune() ? this.#tuner?.choose(routine, this.#ways(routine)) : undefined
    return tuned ?? this.#byRules(routine)
  }

  /** Whether a backend computes it. */
  takes(routine: Routine): boolean {
    return this.#backends?.takes(routine) ?? false
  }

  #byRules(routine: Routine): KernelRun | undefined {
    return this.#taken(routine) ?? this.#inSteps(routine) ?? this.#emitted(routine)
  }

  /** All that might be the fastest; first what the rules choose. */
  #ways(routine: Routine): Way[] {
    const { epilogue } = routine
    const plain = withoutEpilogue(routine)
    const offered = this.#backends?.ways(routine) ?? []
    const apart = epilogue ? (this.#backends?.ways(plain) ?? []) : []
    const emitted = variantsOf(plain)
    const own = offered.length + apart.length > 0 || emitted.length > 0 ? [undefined, ...emitted] : []
    return [
      { name: 'rules', prepare: () => this.#byRules(routine) },
      ...offered,
      ...apart.map(({ name, prepare }) => ({
        name: `${name}, then a kernel`,
        prepare: () => {
          const run = prepare()
          return run && this.#separately(routine, epilogue!, run)
        },
      })),
      ...own.map((variant) => ({ name: `emitted: ${variant ?? 'rules'}`, prepare: () => this.#emitted(routine, variant) })),
    ]
  }

  /** Routines that are made of other programs. */
  #inSteps(routine: Routine): KernelRun | undefined {
    return composedOf(routine, {
      heap: this.#heap,
      kernel: (kernel) => this.#kernels.prepare(kernel),
      product: (product) => this.prepare(product)!,
    })
  }

  /** By a backend, which may leave the epilogue to a kernel; undefined where none takes it. */
  #taken(routine: Routine): KernelRun | undefined {
    const backends = this.#backends
    if (!backends) return undefined
    const whole = backends.prepare(routine)
    if (whole) return whole
    const plain = withoutEpilogue(routine)
    const run = (routine.epilogue && backends.prepare(plain)) ?? backends.prepareInSlices(plain, (kernel) => this.#kernels.prepare(kernel))
    return run && routine.epilogue ? this.#separately(routine, routine.epilogue, run) : run
  }

  #emitted(routine: Routine, variant?: MatmulMode): KernelRun | undefined {
    const code = epilogueOver(routine)
    const epilogue = code && productNames.has(routine.name) ? programCode()?.planEpilogue(code) : undefined
    const wide = code ? { ...routine, epilogue: code } : routine
    const plain = withoutEpilogue(wide)
    if (code && !epilogue) {
      const run = this.#emitted(plain, variant)
      return run && this.#separately(wide, code, run)
    }
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
        const fill = this.#convert(input, results[0]!, through)
        const same = input.dtype === results[0] && isDense(input.strides, input.shape)
        // What is there already stays.
        const run: KernelRun = same ? (pointers, scalars) => (pointers[0] === pointers[1] ? undefined : fill(pointers, scalars)) : fill
        steps.push({ run, buffers: [i, outputAt[0]!] })
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
    const { launch, unfinished } = this.#launcher((threads) => recipe.job(operands, written, threads, variant))
    if (epilogue) {
      const first = routine.inputs.length
      const operandsAt = epilogue.operands.map(({ input }) => inputs.length + input - 1)
      const all = (raw: number, bytes: readonly number[]) => {
        const buffers = [...operandAt, raw, raw, ...operandsAt, ...routine.outputs.map((_, o) => first + o)]
        return this.#sequence(bytes, [...steps, { run: launch, buffers, scalars: true }])
      }
      const inPlace = all(first, [...temporaries])
      if (!unfinished) return inPlace
      // Sums are finished piece by piece in the first output's memory, unless an operand is there or they are wider.
      const elsewhere = all(temporary(written[0]!), temporaries)
      if (routine.outputs[0]!.dtype !== written[0]!.dtype) return elsewhere
      return either(operandsAt, first, elsewhere, inPlace)
    }
    return this.#sequence(temporaries, [...steps, { run: launch, buffers: [...operandAt, ...outputAt] }, ...finish])
  }

  /** The raw result, which `run` computes, goes through memory. */
  #separately(routine: Routine, epilogue: Kernel, run: KernelRun): KernelRun {
    const plain = withoutEpilogue(routine)
    const own = plain.inputs.length
    const count = routine.inputs.length + routine.outputs.length
    const others = Array.from({ length: count - own }, (_, i) => own + i)
    const { dtype, shape } = plain.outputs[0]!
    const finish = this.#kernels.prepare(epilogue)
    const through = (raw: number, bytes: readonly number[]) =>
      this.#sequence(bytes, [
        { run, buffers: [...plain.inputs.keys(), raw] },
        { run: finish, buffers: [raw, ...others], scalars: true },
      ])
    const elsewhere = through(count, [sizeOf(shape) * dtypeInfo[dtype].size])
    const output = routine.outputs.findIndex((o, i) => o.dtype === dtype && isDense(epilogue.outputs[i]!.strides, shape))
    if (output < 0) return elsewhere
    // The kernel goes over it where it is, unless an operand is there, too.
    const place = routine.inputs.length + output
    const inPlace = through(place, [])
    const operandsAt = others.slice(0, routine.inputs.length - own)
    return either(operandsAt, place, elsewhere, inPlace)
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
    const worthwhile = this.#grain
    const { module, plan } = job(1)
    const code = this.#function(module)
    const { tasks, scratchBytes } = plan
    const unfinished = plan.epilogue?.unfinished ?? false
    if (tasks === 0) return { launch: () => {}, unfinished }
    const block = heap.alloc(plan.words.byteLength)
    const args = [block, 0, 0]
    const operand = plan.packed && programCode()?.packed(heap, block, plan.packed.layout)
    let fitted = { tasks, grain: tasks, scratchBytes }
    const launch: Launch = {
      pointers: plan.pointers.map((at, buffer) => ({ word: (block >>> 2) + at, buffer })),
      params: (block + 4 * (plan.params ?? 0)) >>> 3,
      fit() {
        const threads = Math.max(1, Math.min(pool.threads, Math.round(plan.work / worthwhile)))
        const made = threads === 1 ? plan : job(threads).plan
        heap.i32.set(made.words, block >>> 2)
        operand?.write()
        fitted = { tasks: made.tasks, grain: grainOf(made.tasks, threads), scratchBytes: made.scratchBytes }
        const alone = made.tasks <= fitted.grain || pool.threads === 1
        return alone && made.scratchBytes <= KEPT_SCRATCH
          ? { fn: code, tasks: made.tasks, block, scratchBytes: made.scratchBytes }
          : undefined
      },
      run() {
        const { tasks, grain, scratchBytes } = fitted
        let large = 0
        if (scratchBytes > KEPT_SCRATCH) {
          const stride = Math.ceil(scratchBytes / 64) * 64
          large = heap.alloc(tasks > grain ? stride * pool.threads : stride)
          args[1] = large
          args[2] = stride
        } else if (scratchBytes > 0) {
          const { pointer, stride } = pool.scratch(scratchBytes)
          args[1] = pointer
          args[2] = stride
        }
        try {
          pool.run(code, tasks, grain, args)
        } finally {
          if (large) heap.free(large)
        }
      },
    }
    // Lives as long as what launches the block.
    this.#arguments.register(args, block)
    const run = runOf(heap, pool, launch)
    return { launch: operand ? withPacked(run, [{ buffer: plan.packed.pointer, operand }]) : run, unfinished }
  }

  /** Runs steps one after the other over the buffers given and temporaries of so many bytes. */
  #sequence(temporaries: readonly number[], steps: readonly Step[]): KernelRun {
    const [{ run, buffers }, ...others] = steps as [Step, ...Step[]]
    const packed = packedIn(steps)
    if (others.length + temporaries.length > 0 || !run.launch) return withPacked(sequence(this.#heap, temporaries, steps), packed)
    // Some code has a word for an output that this routine does without.
    const pointers = run.launch.pointers.flatMap(({ word, buffer }) =>
      buffer < buffers.length ? [{ word, buffer: buffers[buffer]! }] : [],
    )
    return withPacked(runOf(this.#heap, this.#pool, { ...run.launch, pointers }), packed)
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

/** Whether strides are those of dense memory of this shape, as far as they mean anything. */
function isDense(strides: readonly number[], shape: readonly number[]): boolean {
  const dense = rowMajor(shape)
  return shape.every((size, axis) => size === 1 || strides[axis] === dense[axis])
}

/** Some ranges a thread even out their work, but neighbouring tasks share some, so a range holds a few. */
function grainOf(tasks: number, threads: number): number {
  const share = Math.ceil(tasks / threads)
  return Math.max(Math.min(share, 4), Math.ceil(share / 4))
}

const withPacked = (run: KernelRun, packed: readonly PackedBuffer[]): KernelRun =>
  packed.length > 0 ? Object.assign(run, { packed }) : run

/** What steps take packed, by their buffers. */
const packedIn = (steps: readonly Step[]): PackedBuffer[] =>
  steps.flatMap(({ run, buffers }) => (run.packed ?? []).map(({ buffer, operand }) => ({ buffer: buffers[buffer]!, operand })))

/** One run or the other, as one of `operands` lies at `place` or none. */
function either(operands: readonly number[], place: number, elsewhere: KernelRun, inPlace: KernelRun): KernelRun {
  const run: KernelRun = (pointers, scalars) =>
    (operands.some((at) => pointers[at] === pointers[place]) ? elsewhere : inPlace)(pointers, scalars)
  const known: KernelRun['known'] = (samePlace) => (operands.some((at) => samePlace(at, place)) ? elsewhere : inPlace)
  return withPacked(Object.assign(run, { known }), [...(elsewhere.packed ?? []), ...(inPlace.packed ?? [])])
}

interface Step {
  readonly run: KernelRun
  /** Which of the buffers it works on. */
  readonly buffers: readonly number[]
  /** Whether the scalars of the run are its params. */
  readonly scalars?: boolean
}

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
