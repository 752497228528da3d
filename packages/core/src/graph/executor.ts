import { userLine } from '../autograd/anomaly.ts'
import { dtypeInfo } from '../dtype.ts'
import type { Buffer, Engine, Executable } from '../engine/engine.ts'
import { KernelBuilder } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { type Spec, spec as specOf } from '../layout.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import type { Region } from './control.ts'
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
  readonly #gradients: readonly { readonly of: Tensor; readonly at: number; readonly read: Read | null; readonly owned: Tensor | null }[]
  // Filled anew on each run.
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
    this.#executable = prepareSteps(engine, this.steps)
    this.#arenaSpec = specOf('uint8', [this.plan.arenaBytes])
    this.#written = [...this.#graph.writes.keys()].map((memory) => this.#bufferOf.get(memory)!)
    this.#gradients = [...this.#graph.gradients].map(([of, read]) => ({
      of,
      at: this.#graph.arguments.indexOf(of),
      read,
      owned: read && this.#ownGradient(read),
    }))
    const places = this.#graph.outputs.map(({ value }) => this.#bufferOf.get(rootOf(value)))
    this.#outputsAt = this.#memories.map((_, i) => places.indexOf(i + 1))
    this.#storages = this.#memories.map(() => undefined)
    this.#buffers = new Array<Buffer>(this.#memories.length + 1)
    this.#offsets = new Array<number>(this.#memories.length + 1).fill(0)
  }

  /** Memory of the program itself that outlives its runs: gradients. */
  get ownStorages(): Storage[] {
    return this.#memories.flatMap((memory) => (memory.kind === 'owned' ? [memory.storage] : []))
  }

  /** Runs the program once and gives its outputs. */
  run(args: readonly Tensor[]): Tensor[] {
    const { inputs, outputs } = this.#graph
    const arena = new Storage(this.engine, this.#arenaSpec, 'compile')
    const storages = this.#storages
    const buffers = this.#buffers
    try {
      buffers[0] = arena.buffer
      for (let i = 0; i < this.#memories.length; i++) {
        const memory = this.#memories[i]!
        let storage: Storage
        let offset = 0
        switch (memory.kind) {
          case 'argument': {
            const x = args[memory.index]!
            storage = x.storage
            offset = x.offset
            break
          }
          case 'gradient': {
            const gradient = (args[memory.at] ?? memory.of).grad!
            storage = gradient.storage
            offset = gradient.offset
            break
          }
          case 'result':
            storage = new Storage(this.engine, memory.spec, 'compile')
            break
          default:
            storage = memory.storage
        }
        storages[i] = storage
        buffers[i + 1] = storage.buffer
        this.#offsets[i + 1] = offset
      }
      // Only now, when all that it needs is known to be there: what the host does cannot be taken back.
      this.#askHost()
      try {
        this.#executable.run(buffers, this.#offsets, this.#scalars)
      } catch (error) {
        throw this.#located(error)
      }
      for (const at of this.#written) storages[at - 1]!.version++
      for (const { of, at, read, owned } of this.#gradients) {
        if (owned) owned.storage.version++
        const gradient = owned ?? (read && this.#output(read, args, inputs))
        // It is used after the scope that computed it.
        if (gradient) gradient.storage.kept = true
        ;(args[at] ?? of).grad = gradient
      }
      return outputs.map((read) => this.#output(read, args, inputs))
    } finally {
      arena.release()
      storages.fill(undefined)
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
    const arena = new Storage(this.engine, this.#arenaSpec, 'compile')
    const buffers = this.#buffers
    try {
      buffers[0] = arena.buffer
      this.#memories.forEach((memory, i) => {
        let region: Region
        if (memory.kind === 'argument') region = args[memory.index]!
        else if (memory.kind === 'result') region = into[this.#outputsAt[i]!]!
        else if (memory.kind === 'gradient') throw new TypeError('control flow has no gradients of its own')
        else region = { buffer: memory.storage.buffer, offset: 0 }
        buffers[i + 1] = region.buffer
        this.#offsets[i + 1] = region.offset
      })
      const drawn = this.#askHost(args)
      try {
        this.#executable.run(buffers, this.#offsets, this.#scalars)
      } catch (error) {
        throw this.#located(error)
      }
      return drawn
    } finally {
      arena.release()
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

  /** @returns The numbers that were drawn, one after the other. */
  #askHost(given: readonly (Region | undefined)[] = []): number[] {
    let lift = 0
    const drawn: number[] = []
    for (const step of this.#graph.host) {
      if (step.kind === 'effect') {
        step.run()
        continue
      }
      const at = this.#liveAt[lift++]
      const values = step.kind === 'given' ? unpackNumbers(this.engine, given[step.argument]!, step) : step.compute()
      if (step.kind === 'numbers') drawn.push(...values)
      if (at) for (let i = 0; i < at.length; i++) if (at[i]! >= 0) this.#scalars[at[i]!] = values[i]!
    }
    return drawn
  }

  #output({ value, spec, offset }: Read, args: readonly Tensor[], inputs: readonly Read[]): Tensor {
    const root = rootOf(value)
    const storage = this.#storages[this.#bufferOf.get(root)! - 1]!
    const argument = inputs.findIndex((x) => x.value === (this.plan.inPlace.get(root) ?? root))
    return new Tensor(spec, storage, offset + (argument < 0 ? 0 : args[argument]!.offset))
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
