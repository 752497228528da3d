import { CotangentError } from '../../errors.ts'
import type { Heap } from './heap.ts'
import { startThread, type Thread } from './thread.ts'
import { controlLayout as layout } from './worker.ts'

export const maxThreads = 128
export const maxArgs: number = layout.maxArgs

const slots = 2 * maxThreads
const controlWords = layout.words + slots * layout.worker.words
const { state, command, next } = layout
const ACTIVE = 0x1fe
const noMoreChunks = 1 << 30

export interface Launch {
  /** Number of the module, never used twice, and where its bytes are. */
  module: number
  pointer: number
  length: number
  /** Place of the function among the module's exports. */
  index: number
  name: string
  tasks: number
  /** Tasks a chunk; the last one may be shorter. */
  step: number
  chunks: number
  args: readonly number[]
}

interface CrewOptions {
  /** How long a thread that waits keeps its core before it sleeps, in milliseconds. */
  spinMs: number
  /** Where the host cannot tell whether a thread lives: time without progress after which it counts as dead. */
  stallMs: number
  /** A worker has ended though nobody told it to. */
  lost: (error: unknown) => void
}

interface Member {
  thread: Thread
  slot: number
}

/**
 * Worker threads and the control block in shared memory through which they are commanded; `worker.ts` has the other side.
 * A crew that loses a worker in the middle of a launch is broken for good: a new one takes its place.
 */
export class Crew {
  broken = false
  /** Workers that were started and not told to quit. */
  size = 0

  readonly #heap: Heap
  readonly #options: CrewOptions
  readonly #control: number
  readonly #words: Int32Array
  readonly #args: Float64Array
  readonly #text: Uint16Array
  /** By thread number, from 1. */
  readonly #members: (Member | undefined)[] = []
  /** Also those that are on their way out. */
  readonly #running: (Member | undefined)[] = []
  /** The launch that is left open. */
  #lent: Launch | undefined
  #dismissed = false
  #generation = 0

  constructor(heap: Heap, options: CrewOptions) {
    this.#heap = heap
    this.#options = options
    this.#control = heap.alloc(controlWords * 4)
    const { buffer } = heap.i32
    this.#words = new Int32Array(buffer, this.#control, controlWords).fill(0)
    this.#args = new Float64Array(buffer, this.#control + layout.args * 4, layout.maxArgs)
    this.#text = new Uint16Array(buffer, this.#control + layout.errorText * 4, layout.errorUnits)
  }

  /** Workers that can take part now. */
  get ready(): number {
    return this.broken ? 0 : Atomics.load(this.#words, layout.ready)
  }

  /** Starts and dismisses workers until there are `size`. Throws what the host throws when it refuses a worker. */
  resize(size: number): void {
    this.#recall()
    for (let thread = 1; thread <= size; thread++) {
      if (!this.#members[thread]) this.#start(thread)
    }
    for (let thread = size + 1; thread < this.#members.length; thread++) {
      const member = this.#members[thread]
      if (!member) continue
      this.#members[thread] = undefined
      this.size--
      Atomics.store(this.#words, this.#own(member.slot) + layout.worker.quit, 1)
    }
    // Wakes all: those that have to quit see it, the others sleep on.
    Atomics.store(this.#words, state, this.#nextGeneration() << 9)
    Atomics.notify(this.#words, state)
  }

  /** Ends all workers now. The control block goes back to the heap when the last one is gone. */
  dismiss(): void {
    if (this.#dismissed) return
    this.#dismissed = true
    this.#lent = undefined
    this.#members.length = 0
    this.size = 0
    for (const member of this.#running) member?.thread.terminate()
    this.#releaseControl()
  }

  /**
   * Runs all chunks, here and on the workers that are awake in time. `entry` is the caller's own instance of the function.
   * Throws its error or a worker's, after everybody has stopped.
   */
  launch(entry: (begin: number, end: number, args: readonly number[]) => void, job: Launch): void {
    const words = this.#words
    const { tasks, step, chunks, args } = job
    this.#open(job, chunks - 1)
    try {
      for (let i = Atomics.add(words, next, 1); i < chunks; i = Atomics.add(words, next, 1)) {
        const begin = i * step
        entry(begin, Math.min(begin + step, tasks), args)
      }
    } catch (error) {
      Atomics.store(words, next, noMoreChunks)
      this.#close(job.name)
      throw error
    }
    this.#close(job.name)
    if (words[layout.error] === 1) this.#rethrow(job.name)
  }

  /** Whether all workers that could be lent to the module's function are in it still. */
  has(module: number): boolean {
    return this.#lent?.module === module && (Atomics.load(this.#words, state) & ACTIVE) >> 1 === this.ready
  }

  /**
   * Lends workers to code that has a way of its own to give them work: those that are awake in time take a chunk each. Returns at once, and the
   * launch stays open until the next one. Arguments are the address of a word whose lowest bit is cleared when the workers are wanted back, how many
   * microseconds they may wait for work, and the job's.
   */
  lend(job: Launch): void {
    this.#open({ ...job, args: [this.#control + state * 4, this.#options.spinMs * 1000, ...job.args] }, job.chunks)
    this.#lent = job
  }

  #recall(): void {
    const lent = this.#lent
    this.#lent = undefined
    if (lent) this.#close(lent.name)
  }

  #open(job: Launch, workers: number): void {
    const words = this.#words
    const { tasks, step, chunks, args } = job
    if (this.#lent) {
      const { name } = this.#lent
      this.#recall()
      if (words[layout.error] === 1) this.#rethrow(name)
    }
    words[command] = job.module
    words[command + 1] = job.pointer
    words[command + 2] = job.length
    words[command + 3] = job.index
    words[command + 4] = tasks
    words[command + 5] = step
    words[command + 6] = chunks
    words[command + 7] = args.length
    for (let i = 0; i < args.length; i++) this.#args[i] = args[i]!
    words[next] = 0
    words[layout.error] = 0
    Atomics.store(words, state, (this.#nextGeneration() << 9) | 1)
    if (Atomics.load(words, layout.sleepers) > 0) Atomics.notify(words, state, workers)
  }

  #nextGeneration(): number {
    this.#generation = (this.#generation + 1) & 0x7fffff
    return this.#generation
  }

  #own(slot: number): number {
    return layout.words + slot * layout.worker.words
  }

  #start(thread: number): void {
    let slot = 0
    while (this.#running[slot]) slot++
    if (slot >= slots) return
    const own = this.#own(slot)
    this.#words.fill(0, own, own + layout.worker.words)
    const boot = { memory: this.#heap.memory, control: this.#control, own, thread, spinMs: this.#options.spinMs, layout }
    const member: Member = { slot, thread: startThread(boot, (error) => this.#ended(thread, member, error)) }
    this.#running[slot] = member
    this.#members[thread] = member
    this.size++
  }

  #ended(thread: number, member: Member, error: unknown): void {
    const words = this.#words
    const own = this.#own(member.slot)
    this.#running[member.slot] = undefined
    if (words[own + layout.worker.booted] === 1) Atomics.sub(words, layout.ready, 1)
    if (words[own + layout.worker.sleeping] === 1) Atomics.sub(words, layout.sleepers, 1)
    const lost = this.#members[thread] === member
    if (lost) {
      this.#members[thread] = undefined
      this.size--
    }
    // Nobody counts it out of the launch that it was lent to.
    if (this.#lent && words[own + layout.worker.busy] === 1) {
      this.broken = true
      this.dismiss()
    } else this.#releaseControl()
    if (lost) this.#options.lost(error)
  }

  #releaseControl(): void {
    if (this.#dismissed && this.#running.every((member) => member === undefined)) this.#heap.free(this.#control)
  }

  /** Lets no more workers in and waits for those inside. */
  #close(name: string): void {
    const words = this.#words
    if ((Atomics.and(words, state, ~1) & ACTIVE) === 0) return
    let deadline = 0
    for (let spins = 1; (Atomics.load(words, state) & ACTIVE) !== 0; spins++) {
      pause()
      if ((spins & 63) !== 0) continue
      const now = performance.now()
      if (deadline === 0) deadline = now + this.#options.spinMs
      else if (now > deadline) {
        this.#waitLong(name)
        return
      }
    }
  }

  #waitLong(name: string): void {
    const words = this.#words
    const patience = 50
    let checked = performance.now()
    let moved = checked
    let progress = this.#progress()
    Atomics.store(words, layout.mainSleeps, 1)
    for (;;) {
      const done = Atomics.load(words, layout.done)
      if ((Atomics.load(words, state) & ACTIVE) === 0) break
      if (mayWait()) Atomics.wait(words, layout.done, done, patience)
      else pause()
      const now = performance.now()
      if (now - checked < patience) continue
      checked = now
      const latest = this.#progress()
      if (latest !== progress) {
        progress = latest
        moved = now
      }
      if (this.#lostOne(now - moved > this.#options.stallMs)) this.#abandon(name)
    }
    Atomics.store(words, layout.mainSleeps, 0)
  }

  /** Changes whenever a worker finishes a chunk. */
  #progress(): number {
    let sum = 0
    for (const member of this.#running) if (member) sum += this.#words[this.#own(member.slot) + layout.worker.chunks]!
    return sum
  }

  /** Whether a worker has died inside the launch; `stalled` decides where the host does not know. */
  #lostOne(stalled: boolean): boolean {
    return this.#running.some((member) => {
      if (!member || Atomics.load(this.#words, this.#own(member.slot) + layout.worker.busy) === 0) return false
      return !(member.thread.alive() ?? !stalled)
    })
  }

  /** Nobody counts the dead worker out of the launch, so this control block is of no more use. */
  #abandon(name: string): never {
    this.broken = true
    const threads = this.#running.map((member) => member?.thread)
    this.dismiss()
    // The others may still write to tensors that the caller frees next; stopping takes them a moment.
    const deadline = performance.now() + 1000
    while (threads.some((thread) => thread?.alive()) && performance.now() < deadline) {
      if (mayWait()) Atomics.wait(this.#words, layout.done, Atomics.load(this.#words, layout.done), 1)
    }
    throw new CotangentError('engine-failure', {
      op: name,
      message: 'a worker thread died while it ran this kernel',
      hint: 'The results are incomplete; the next launch starts new workers.',
    })
  }

  #rethrow(name: string): never {
    const text = String.fromCharCode(...this.#text.subarray(0, this.#words[layout.error + 1]!))
    const cause = new Error(text.split('\n', 1)[0])
    cause.stack = text
    throw new CotangentError('engine-failure', {
      op: name,
      message: `failed in a worker thread: ${cause.message}`,
      hint: 'This is a fault of the library: please report it with the op, its shapes and dtypes.',
      cause,
    })
  }
}

const pause: () => void = (Atomics as { pause?: () => void }).pause ?? (() => {})

let waitAllowed: boolean | undefined

/** The main thread of a browser may not sleep. */
function mayWait(): boolean {
  if (waitAllowed === undefined) {
    try {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 1)
      waitAllowed = true
    } catch {
      waitAllowed = false
    }
  }
  return waitAllowed
}
