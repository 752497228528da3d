import { userLine } from '../autograd/anomaly.ts'
import { dtypeInfo } from '../dtype.ts'
import type { Region } from '../engine/control.ts'
import type { Buffer, ConstantBuffer, Engine, Executable } from '../engine/engine.ts'
import { KernelBuilder } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { type Spec, spec as specOf } from '../layout.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { outsideScopes, Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { type Graph, isLive, type LiveNumber, type Read, type Value } from './graph.ts'
import { type MemoryPlan, planMemory } from './memory.ts'
import { type Operation, type Place, type Program, rootOf } from './program.ts'
import { type ProgramStep, prepareSteps } from './steps.ts'

/** Where the memory of a root comes from when a program starts. */
type Memory =
  | { readonly kind: 'argument'; readonly index: number }
  | { readonly kind: 'captured'; readonly storage: Storage }
  /** Of a tensor from outside, or, where `at` is not negative, of an argument. */
  | { readonly kind: 'gradient'; readonly of: Tensor; readonly at: number }
  /** Made anew on each run, and handed out. */
  | { readonly kind: 'result'; readonly spec: Spec }
  /** The program's own for as long as it lives: gradients, which each run overwrites. */
  | { readonly kind: 'owned'; readonly storage: Storage }

/** Bytes of working memory up to which a program keeps it. */
const KEPT_ARENA = 65536

/** A tensor over one of the program's memories; what starts at an argument starts where that does. */
interface Output {
  readonly spec: Spec
  readonly offset: number
  readonly memory: number
  readonly argument: number
}

/** A `.grad` that a program leaves behind: of a tensor from outside, or, where `at` is not negative, of an argument. */
interface Gradient {
  readonly of: Tensor
  readonly at: number
  readonly output: Output | null
  /** The same on each run. */
  readonly owned: Tensor | null
}

/**
 * A program made ready for an engine: sequences, with control flow between them, over one list of buffers, the first of which is
 * its working memory.
 */
export class ProgramExecutable {
  readonly program: Program
  readonly plan: MemoryPlan
  readonly engine: Engine
  readonly #graph: Graph
  /** In order: those of the program's operations, then the copies that end it. */
  readonly steps: readonly ProgramStep[]
  readonly #executable: Executable
  readonly #memories: readonly Memory[]
  readonly #bufferOf = new Map<Value, number>()
  readonly #arenaSpec: Spec
  /** Numbers of the sequence: constants as they are, places for live ones. */
  readonly #scalars: number[] = []
  readonly #liveAt: (readonly number[])[] = []
  readonly #written: readonly number[]
  /** For each memory, which output it is. */
  readonly #outputsAt: readonly number[]
  readonly #gradients: readonly Gradient[]
  readonly #outputs: readonly Output[]
  /** Memories that are the same on each run, and those that are not. */
  readonly #fixed: readonly number[]
  readonly #moving: readonly number[]
  #arena: Storage | undefined
  // What moves is filled in anew on each run.
  readonly #storages: (Storage | undefined)[]
  readonly #buffers: Buffer[]
  readonly #offsets: number[]

  constructor(engine: Engine, program: Program) {
    this.engine = engine
    this.program = program
    this.#graph = program.graph
    this.plan = planMemory(program)
    this.#memories = this.#layMemories()
    const operations = [...program.operations, ...this.#copies()]
    this.steps = this.#steps(operations)
    this.#executable = prepareSteps(engine, this.steps, this.#constants())
    this.#arenaSpec = specOf('uint8', [this.plan.arenaBytes])
    this.#written = [...this.#graph.writes.keys()].map((memory) => this.#bufferOf.get(memory)! - 1)
    this.#gradients = [...this.#graph.gradients].map(([of, read]) => ({
      of,
      at: this.#graph.arguments.indexOf(of),
      output: read && this.#describe(read),
      owned: read && this.#ownGradient(read),
    }))
    const places = this.#graph.outputs.map(({ value }) => this.#bufferOf.get(rootOf(value)))
    this.#outputsAt = this.#memories.map((_, i) => places.indexOf(i + 1))
    this.#outputs = this.#graph.outputs.map((read) => this.#describe(read))
    const isFixed = (memory: Memory) => memory.kind === 'captured' || memory.kind === 'owned'
    this.#storages = this.#memories.map((memory) => ('storage' in memory ? memory.storage : undefined))
    this.#fixed = this.#memories.flatMap((memory, i) => (isFixed(memory) ? [i] : []))
    this.#moving = this.#memories.flatMap((memory, i) => (isFixed(memory) ? [] : [i]))
    this.#buffers = new Array<Buffer>(this.#memories.length + 1)
    this.#offsets = new Array<number>(this.#memories.length + 1).fill(0)
  }

  /** Memory of the program itself that outlives its runs: gradients. */
  get ownStorages(): Storage[] {
    return this.#memories.flatMap((memory) => (memory.kind === 'owned' ? [memory.storage] : []))
  }

  /** Runs the program once and gives its outputs. */
  run(args: readonly Tensor[]): Tensor[] {
    // Small steps take a few microseconds, so nothing is made here that is not handed out.
    const arena = this.#enterArena()
    const storages = this.#storages
    try {
      this.#checkFixed()
      for (let n = 0; n < this.#moving.length; n++) this.#move(this.#moving[n]!, args)
      // Only now, when all that it needs is known to be there: what the host does cannot be taken back.
      this.#askHost(undefined, undefined)
      this.#execute()
      for (let n = 0; n < this.#written.length; n++) storages[this.#written[n]!]!.version++
      for (let n = 0; n < this.#gradients.length; n++) this.#leaveGradient(this.#gradients[n]!, args)
      const outputs = new Array<Tensor>(this.#outputs.length)
      for (let n = 0; n < outputs.length; n++) outputs[n] = this.#output(this.#outputs[n]!, args)
      return outputs
    } finally {
      this.#leaveArena(arena)
      for (let n = 0; n < this.#moving.length; n++) storages[this.#moving[n]!] = undefined
    }
  }

  /**
   * Runs a program that control flow of another one holds, which has no memory of its own but what it works in.
   *
   * @param args Where its arguments lie.
   * @param into Where its outputs go; all are values that it makes.
   * @returns The numbers that it asked the host for.
   */
  runAt(args: readonly Region[], into: readonly Region[]): readonly number[] {
    const arena = this.#enterArena()
    try {
      this.#checkFixed()
      for (const i of this.#moving) {
        const memory = this.#memories[i]!
        if (memory.kind !== 'argument' && memory.kind !== 'result') throw new TypeError('control flow has no gradients of its own')
        const region = memory.kind === 'argument' ? args[memory.index]! : into[this.#outputsAt[i]!]!
        this.#buffers[i + 1] = region.buffer
        this.#offsets[i + 1] = region.offset
      }
      const drawn: number[] = []
      this.#askHost(args, drawn)
      this.#execute()
      return drawn
    } finally {
      this.#leaveArena(arena)
    }
  }

  /** Memory to work in: the program's own if that is little, else taken for the run. */
  #enterArena(): Storage {
    if (!this.#arena && this.plan.arenaBytes <= KEPT_ARENA) this.#arena = kept(outsideScopes(() => this.#makeArena()))
    const arena = this.#arena ?? this.#makeArena()
    this.#buffers[0] = arena.buffer
    return arena
  }

  #makeArena(): Storage {
    return new Storage(this.engine, this.#arenaSpec, 'compile')
  }

  #leaveArena(arena: Storage): void {
    if (arena !== this.#arena) arena.release()
  }

  /** Throws if memory that was captured is gone. */
  #checkFixed(): void {
    for (let n = 0; n < this.#fixed.length; n++) {
      const i = this.#fixed[n]!
      this.#buffers[i + 1] = this.#storages[i]!.buffer
    }
  }

  /** Finds memory that is another one on each run. */
  #move(i: number, args: readonly Tensor[]): void {
    const memory = this.#memories[i]!
    if (memory.kind === 'result') this.#place(i, new Storage(this.engine, memory.spec, 'compile'), 0)
    else if (memory.kind === 'argument') {
      const x = args[memory.index]!
      this.#place(i, x.storage, x.offset)
    } else if (memory.kind === 'gradient') {
      const gradient = (memory.at < 0 ? memory.of : args[memory.at]!).grad!
      this.#place(i, gradient.storage, gradient.offset)
    }
  }

  #leaveGradient({ of, at, output, owned }: Gradient, args: readonly Tensor[]): void {
    const gradient = owned ?? (output && this.#output(output, args))
    if (gradient) {
      const { storage } = gradient
      if (owned) storage.version++
      // It is used after the scope that computed it.
      storage.kept = true
    }
    const target = at < 0 ? of : args[at]!
    target.grad = gradient
  }

  #place(i: number, storage: Storage, offset: number): void {
    this.#storages[i] = storage
    this.#buffers[i + 1] = storage.buffer
    this.#offsets[i + 1] = offset
  }

  #execute(): void {
    try {
      this.#executable.run(this.#buffers, this.#offsets, this.#scalars)
    } catch (error) {
      throw this.#located(error)
    }
  }

  /** The error of an operation, with the lines that it comes from. */
  #located(error: unknown): unknown {
    if (!(error instanceof CotangentError) || error.step === undefined) return error
    const origins = this.program.operations[error.step]?.origins ?? []
    if (origins.length === 0) return error
    const lines = new Map<string, string[]>()
    for (const { name, at } of origins) {
      const line = userLine(at.stack)
      lines.set(line, [...(lines.get(line) ?? []), name])
    }
    const places = [...lines].map(([line, names]) => `${[...new Set(names)].join(', ')} called at ${line}`)
    return new CotangentError(error.code, {
      op: 'compile',
      message: `an operation of the compiled function failed (${places.join('; ')}): ${error.message.replace(/\.$/, '')}`,
      cause: error,
    })
  }

  /** @param given Where arguments lie that may hold numbers. @param drawn Takes the numbers that were drawn, one after the other. */
  #askHost(given: readonly (Region | undefined)[] | undefined, drawn: number[] | undefined): void {
    const { host } = this.#graph
    let lift = 0
    for (let n = 0; n < host.length; n++) {
      const step = host[n]!
      if (step.kind === 'effect') {
        step.run()
        continue
      }
      const at = this.#liveAt[lift++]
      const values = step.kind === 'given' ? unpackNumbers(this.engine, given![step.argument]!, step) : step.compute()
      if (drawn && step.kind === 'numbers') drawn.push(...values)
      if (at) for (let i = 0; i < at.length; i++) if (at[i]! >= 0) this.#scalars[at[i]!] = values[i]!
    }
  }

  #describe({ value, spec, offset }: Read): Output {
    const root = rootOf(value)
    const argument = this.#graph.inputs.findIndex((x) => x.value === (this.plan.inPlace.get(root) ?? root))
    return { spec, offset, memory: this.#bufferOf.get(root)! - 1, argument }
  }

  #output({ spec, offset, memory, argument }: Output, args: readonly Tensor[]): Tensor {
    return new Tensor(spec, this.#storages[memory]!, offset + (argument < 0 ? 0 : args[argument]!.offset))
  }

  /** Finds memory for all roots outside the arena. */
  #layMemories(): Memory[] {
    const memories: Memory[] = []
    const { gradients, arguments: given } = this.#graph
    const owned = new Set([...gradients].flatMap(([of, read]) => (read && !given.includes(of) ? [rootOf(read.value)] : [])))
    // Whoever gets a result may keep it.
    for (const { value } of this.#graph.outputs) owned.delete(rootOf(value))
    // A gradient that is added to another one may be asked for once more while it is made.
    const adds = this.program.operations.some(({ inputs }) => inputs.some((x) => x.value.source.kind === 'gradient'))
    const enter = (root: Value, memory: Memory) => this.#bufferOf.set(root, memories.push(memory))
    const find = (value: Value): void => {
      const root = rootOf(value)
      if (this.#bufferOf.has(root) || this.plan.arena.has(root)) return
      const before = this.plan.inPlace.get(root)
      if (before) {
        find(before)
        this.#bufferOf.set(root, this.#bufferOf.get(before)!)
        return
      }
      const index = this.#graph.inputs.findIndex((x) => x.value === root)
      const { source } = root
      if (index >= 0) enter(root, { kind: 'argument', index })
      else if (source.kind === 'captured') enter(root, source)
      else if (source.kind === 'gradient') enter(root, { ...source, at: given.indexOf(source.of) })
      else {
        const spec = specOf(root.dtype, [root.size])
        if (owned.has(root) && !adds) enter(root, { kind: 'owned', storage: kept(new Storage(this.engine, spec, 'gradient')) })
        else enter(root, { kind: 'result', spec })
      }
    }
    for (const { inputs, outputs } of this.program.operations) for (const { value } of [...inputs, ...outputs]) find(value)
    for (const { value } of this.#graph.outputs) find(value)
    for (const [memory, value] of this.#graph.writes) {
      find(memory)
      find(value)
    }
    for (const read of this.#graph.gradients.values()) if (read) find(read.value)
    return memories
  }

  /** Operations that bring values which were made elsewhere into the memory that is to hold them. */
  #copies(): Operation[] {
    return [...this.plan.copies].map(([memory, value]) => {
      const k = new KernelBuilder('copy', [value.size])
      k.output(value.dtype, k.load(k.input(value.dtype), [1]))
      return {
        program: k.build(),
        inputs: [{ value, offset: 0 }],
        outputs: [{ value: memory, offset: 0 }],
        numbers: [],
        origins: [],
      }
    })
  }

  #steps(operations: readonly Operation[]): ProgramStep[] {
    const known = new Map<Scalar, number>()
    const place = (x: Scalar | LiveNumber): number => {
      if (!isLive(x)) {
        if (!known.has(x)) known.set(x, this.#scalars.push(x.value) - 1)
        return known.get(x)!
      }
      const at = (this.#liveAt[x.lift] ??= []) as number[]
      while (at.length <= x.index) at.push(-1)
      if (at[x.index]! < 0) at[x.index] = this.#scalars.push(Number.NaN) - 1
      return at[x.index]!
    }
    const operand = ({ value, offset }: Place) => {
      const root = rootOf(value)
      const start = this.plan.arena.get(root)
      if (start === undefined) return { buffer: this.#bufferOf.get(root)!, offset }
      return { buffer: 0, offset: offset + start / dtypeInfo[value.dtype].size }
    }
    return operations.map(({ program, inputs, outputs, numbers }) => ({
      program,
      operands: [...inputs, ...outputs].map(operand),
      scalars: numbers.map(place),
    }))
  }

  /** Captured memory that the program does not write. */
  #constants(): ConstantBuffer[] {
    const written = new Set([...this.#graph.writes.keys()].map((memory) => this.#bufferOf.get(memory)))
    return this.#memories.flatMap((memory, i) =>
      memory.kind === 'captured' && !written.has(i + 1) ? [{ buffer: i + 1, memory: memory.storage }] : [],
    )
  }

  #ownGradient({ value, spec, offset }: Read): Tensor | null {
    const memory = this.#memories[this.#bufferOf.get(rootOf(value))! - 1]!
    return memory.kind === 'owned' ? new Tensor(spec, memory.storage, offset) : null
  }
}

/** Reads numbers back that `packNumbers` has written. */
function unpackNumbers(engine: Engine, { buffer, offset }: Region, at: { readonly first: number; readonly count: number }): number[] {
  const words = engine.readSync(buffer, 'int32', offset + 2 * at.first, 2 * at.count) as Int32Array
  return [...new Float64Array(words.slice().buffer)]
}

/** Numbers of the host as memory of a program: two int32 words each, which nothing takes gradients by. */
export function packNumbers(engine: Engine, { buffer, offset }: Region, numbers: readonly number[]): void {
  engine.write(buffer, 'int32', offset, new Int32Array(new Float64Array(numbers).buffer))
}

function kept(storage: Storage): Storage {
  storage.kept = true
  return storage
}
