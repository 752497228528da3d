import { userLine } from '../autograd/anomaly.ts'
import { dtypeInfo } from '../dtype.ts'
import type { Region } from '../engine/control.ts'
import type { Buffer, ConstantBuffer, Engine, Executable } from '../engine/engine.ts'
import { KernelBuilder } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import { type Spec, spec as specOf } from '../layout.ts'
import { changes, countSteps, type StepCounter } from '../tensor/changes.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { outsideScopes, Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { type Graph, isLive, type LiveNumber, type Read, type Value } from './graph.ts'
import { counterOf, type HostTask, hostTasks, unpackNumbers } from './host-task.ts'
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

/** Words from one result of a single number to the next: those of a cache line. */
const WORD_STRIDE = 16

/** Bytes of working memory up to which a program keeps it. */
const KEPT_ARENA = 65536

/** A tensor over one of the program's memories; what starts at an argument starts where that does. */
interface Output {
  readonly spec: Spec
  readonly offset: number
  readonly memory: number
  readonly argument: number
  /** Which of the words it is; negative for none. */
  readonly word: number
}

/** A memory of some kind, and its place among the program's memories. */
type Placed<K extends Memory['kind']> = Extract<Memory, { kind: K }> & { readonly place: number }

/** A `.grad` that a program leaves behind: of a tensor from outside, or, where `at` is not negative, of an argument. */
interface Gradient {
  readonly of: Tensor
  readonly at: number
  readonly output: Output | null
}

/** The `.grad` of a tensor from outside that is the same on each run. */
interface OwnGradient {
  readonly of: Tensor
  readonly gradient: Tensor
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
  readonly #host: readonly HostTask[]
  readonly #counter: StepCounter | null
  /** In order: those of the program's operations, then the copies that end it. */
  readonly steps: readonly ProgramStep[]
  readonly #executable: Executable
  readonly #memories: readonly Memory[]
  readonly #bufferOf = new Map<Value, number>()
  readonly #arenaSpec: Spec
  /** Numbers of the sequence: constants as they are, places for live ones. */
  readonly #scalars: number[] = []
  readonly #liveAt: (readonly number[])[] = []
  /** For each memory, which output it is. */
  readonly #outputsAt: readonly number[]
  /** Gradients in the program's own memory, and all others. */
  readonly #ownGradients: readonly OwnGradient[]
  readonly #gradients: readonly Gradient[]
  readonly #outputs: readonly Output[]
  // Memory that is the same on each run, and all that is not.
  readonly #fixed: readonly Storage[]
  readonly #given: readonly Placed<'argument'>[]
  readonly #made: readonly Placed<'result'>[]
  /** Results that are single words: they are made in the program's own memory, and read from there. */
  readonly #words: readonly Placed<'result'>[]
  readonly #lent: readonly Placed<'gradient'>[]
  /** The places of memory of others that a run makes, writes or hands out. */
  readonly #borrowed: readonly number[]
  readonly #isBorrowed: readonly boolean[]
  /** What is written of memory that is the same on each run. */
  readonly #written: readonly Storage[]
  /** The other memories that are written. */
  readonly #writtenElsewhere: readonly number[]
  /** The buffers that may be others on each run. */
  readonly #moving: readonly number[]
  /** Whether the last run was one of `run`, and went well. */
  #settled = false
  /** The count of changes at which the program's own memory was there, and its gradients were where they belong. */
  #steadyAt = -1
  #arena: Storage | undefined
  /** Held for its buffer, which goes back to the heap with it. */
  #wordStorage: Storage | undefined
  #wordBuffer: Buffer | undefined
  // What moves is filled in anew on each run.
  readonly #storages: (Storage | undefined)[]
  readonly #buffers: Buffer[]
  readonly #offsets: number[]

  constructor(engine: Engine, program: Program) {
    this.engine = engine
    this.program = program
    this.#graph = program.graph
    this.#host = hostTasks(program.graph.host)
    this.#counter = counterOf(program.graph.host)
    this.plan = planMemory(program)
    this.#memories = this.#layMemories()
    const operations = [...program.operations, ...this.#copies()]
    this.steps = this.#steps(operations)
    this.#executable = prepareSteps(engine, this.steps, this.#constants())
    this.#arenaSpec = specOf('uint8', [this.plan.arenaBytes])
    const results = this.#placed('result')
    this.#words = results.filter((result) => this.#isWord(result))
    this.#made = results.filter((result) => !this.#words.includes(result))
    const gradients = [...this.#graph.gradients].map(([of, read]) => ({ of, read, gradient: read && this.#ownGradient(read) }))
    this.#ownGradients = gradients.flatMap(({ of, gradient }) => (gradient ? [{ of, gradient }] : []))
    this.#gradients = gradients.flatMap(({ of, read, gradient }) =>
      gradient ? [] : [{ of, at: this.#graph.arguments.indexOf(of), output: read && this.#describe(read) }],
    )
    const places = this.#graph.outputs.map(({ value }) => this.#bufferOf.get(rootOf(value)))
    this.#outputsAt = this.#memories.map((_, i) => places.indexOf(i + 1))
    this.#outputs = this.#graph.outputs.map((read) => this.#describe(read))
    this.#storages = this.#memories.map((memory) => ('storage' in memory ? memory.storage : undefined))
    this.#fixed = this.#storages.filter((storage) => storage !== undefined)
    this.#given = this.#placed('argument')
    this.#lent = this.#placed('gradient')
    const moving = [...this.#given, ...this.#made, ...this.#lent].map(({ place }) => place + 1)
    this.#moving = this.plan.arenaBytes <= KEPT_ARENA ? moving : [0, ...moving]
    const written = [...this.#graph.writes.keys()].map((memory) => this.#bufferOf.get(memory)! - 1)
    this.#written = [...written.flatMap((place) => this.#storages[place] ?? []), ...this.ownStorages]
    this.#writtenElsewhere = written.filter((place) => !this.#storages[place])
    const left = [...this.#outputs, ...this.#gradients.flatMap(({ output }) => output ?? [])].filter(({ word }) => word < 0)
    const lent = new Set([...left.map(({ memory }) => memory), ...this.#made.map(({ place }) => place), ...this.#writtenElsewhere])
    this.#borrowed = [...lent].filter((place) => !this.#storages[place])
    this.#isBorrowed = this.#memories.map((_, place) => this.#borrowed.includes(place))
    this.#buffers = new Array<Buffer>(this.#memories.length + 1)
    this.#memories.forEach((memory, i) => 'storage' in memory && (this.#buffers[i + 1] = memory.storage.buffer))
    this.#offsets = new Array<number>(this.#memories.length + 1).fill(0)
  }

  #placed<K extends Memory['kind']>(kind: K): Placed<K>[] {
    return this.#memories.flatMap((memory, place) => (memory.kind === kind ? [{ ...memory, place } as Placed<K>] : []))
  }

  /** Memory of the program itself that outlives its runs: gradients. */
  get ownStorages(): Storage[] {
    return this.#memories.flatMap((memory) => (memory.kind === 'owned' ? [memory.storage] : []))
  }

  /** Runs the program once and gives its outputs. */
  run(args: readonly Tensor[]): Tensor[] {
    // Small steps take a few microseconds, so nothing is made here that is not handed out, and nothing is done that may stay undone.
    if (this.#counter) countSteps(this.#counter)
    const arena = this.#enterArena()
    const storages = this.#storages
    try {
      const start = changes.count
      const steady = start === this.#steadyAt
      if (!steady) this.#checkFixed()
      for (let n = 0; n < this.#given.length; n++) this.#placeTensor(this.#given[n]!.place, args[this.#given[n]!.index]!)
      for (let n = 0; n < this.#lent.length; n++) {
        const { of, at, place } = this.#lent[n]!
        this.#placeTensor(place, (at < 0 ? of : args[at]!).grad!)
      }
      for (let n = 0; n < this.#made.length; n++) this.#make(this.#made[n]!)
      if (this.#words.length > 0) this.#placeWords()
      // Only now, when all that it needs is known to be there: what the host does cannot be taken back.
      this.#askHost()
      this.#execute(this.#settled ? this.#moving : undefined)
      this.#settled = true
      for (let n = 0; n < this.#written.length; n++) this.#written[n]!.version++
      for (let n = 0; n < this.#writtenElsewhere.length; n++) storages[this.#writtenElsewhere[n]!]!.version++
      const changed = changes.count !== start
      if (!steady || changed)
        for (let n = 0; n < this.#ownGradients.length; n++) this.#ownGradients[n]!.of.grad = this.#ownGradients[n]!.gradient
      for (let n = 0; n < this.#gradients.length; n++) this.#leaveGradient(this.#gradients[n]!, args)
      this.#steadyAt = changed ? -1 : changes.count
      const outputs = new Array<Tensor>(this.#outputs.length)
      for (let n = 0; n < outputs.length; n++) outputs[n] = this.#output(this.#outputs[n]!, args)
      return outputs
    } finally {
      this.#leaveArena(arena)
      for (let n = 0; n < this.#borrowed.length; n++) storages[this.#borrowed[n]!] = undefined
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
    if (this.#counter) countSteps(this.#counter)
    const arena = this.#enterArena()
    if (this.#lent.length > 0) throw new TypeError('control flow has no gradients of its own')
    try {
      this.#checkFixed()
      for (const { place, index } of this.#given) this.#placeRegion(place, args[index]!)
      for (const { place } of [...this.#made, ...this.#words]) this.#placeRegion(place, into[this.#outputsAt[place]!]!)
      const drawn: number[] = []
      this.#askHost(args, drawn)
      this.#execute(undefined)
      return drawn
    } finally {
      this.#leaveArena(arena)
    }
  }

  /** Memory to work in: the program's own if that is little, else taken for the run. */
  #enterArena(): Storage {
    if (this.#arena) return this.#arena
    if (this.plan.arenaBytes <= KEPT_ARENA) this.#arena = outsideScopes(() => kept(this.#makeArena()))
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
    for (let n = 0; n < this.#fixed.length; n++) this.#fixed[n]!.checkHeld()
  }

  #make({ place, spec }: Placed<'result'>): void {
    const storage = new Storage(this.engine, spec, 'compile')
    this.#storages[place] = storage
    this.#buffers[place + 1] = storage.buffer
    this.#offsets[place + 1] = 0
  }

  /** Whether it is a single word, which only one result of the function is. */
  #isWord({ spec, place }: Placed<'result'>): boolean {
    if (!this.engine.readWord || spec.size !== 1 || dtypeInfo[spec.dtype].size !== 4) return false
    const isThis = ({ value }: Read) => this.#bufferOf.get(rootOf(value)) === place + 1
    const { outputs, gradients } = this.#graph
    return outputs.filter(isThis).length === 1 && ![...gradients.values()].some((read) => read && isThis(read))
  }

  #placeWords(): void {
    if (this.#settled) return
    const words = this.#words
    const spec = specOf('int32', [words.length * WORD_STRIDE])
    this.#wordStorage ??= outsideScopes(() => kept(new Storage(this.engine, spec, 'compile')))
    const buffer = (this.#wordBuffer = this.#wordStorage.buffer)
    words.forEach(({ place }, n) => this.#placeRegion(place, { buffer, offset: n * WORD_STRIDE }))
  }

  #wordAt(n: number): Storage {
    return new Storage(this.engine, this.#words[n]!.spec, 'compile', this.engine.readWord!(this.#wordBuffer!, n * WORD_STRIDE))
  }

  #placeTensor(place: number, { storage, offset }: Tensor): void {
    if (this.#isBorrowed[place]) this.#storages[place] = storage
    this.#buffers[place + 1] = storage.buffer
    this.#offsets[place + 1] = offset
  }

  #placeRegion(place: number, { buffer, offset }: Region): void {
    this.#buffers[place + 1] = buffer
    this.#offsets[place + 1] = offset
  }

  #leaveGradient({ of, at, output }: Gradient, args: readonly Tensor[]): void {
    const gradient = output && this.#output(output, args)
    // It is used after the scope that computed it.
    if (gradient) gradient.storage.kept = true
    const target = at < 0 ? of : args[at]!
    target.grad = gradient
  }

  /** @param moved Where memory may lie that does not lie where it did in the run before. */
  #execute(moved: readonly number[] | undefined): void {
    this.#settled = false
    try {
      this.#executable.run(this.#buffers, this.#offsets, this.#scalars, moved)
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
  #askHost(given?: readonly (Region | undefined)[], drawn?: number[]): void {
    const host = this.#host
    let lift = 0
    for (let n = 0; n < host.length; n++) {
      const step = host[n]!
      if (step.kind === 'counts') {
        for (let i = 0; i < step.counters.length; i++) step.counters[i]!.step++
        continue
      }
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
    const memory = this.#bufferOf.get(root)! - 1
    return { spec, offset, memory, argument, word: this.#words.findIndex(({ place }) => place === memory) }
  }

  #output({ spec, offset, memory, argument, word }: Output, args: readonly Tensor[]): Tensor {
    if (word >= 0) return new Tensor(spec, this.#wordAt(word), offset)
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

function kept(storage: Storage): Storage {
  storage.kept = true
  return storage
}
