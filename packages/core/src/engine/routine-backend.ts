import type { ObjectWatcher } from './object-watcher.ts'
import type { Routine } from './routine.ts'

/**
 * Code from outside an engine that computes routines in place, on the engine's memory: a vendor's library. It takes what it is
 * good at; the engine's own code does the rest, and everything where there is no backend.
 */
export interface RoutineBackend {
  /** For people: notices, errors. */
  readonly name: string
  /** All that its speed depends on besides the machine, such as releases: what autotuning has found is remembered for it. */
  readonly version?: string
  /**
   * Called once an engine, whose memory may grow but does not move.
   * @param threads The engine's own, which may help, where it has any that can.
   * @throws Error with one line that says why this memory can't be worked on; the engine then does without.
   */
  attach(memory: WebAssembly.Memory, threads?: BackendThreads): AttachedBackend
}

/** The threads of an engine, for code that would need its own otherwise: two pools of threads fight for the same cores. */
export interface BackendThreads {
  /**
   * Has each of them load the file of a Node addon when it first needs it. The result runs `body` on the calling thread, while every thread
   * that is awake in time calls the addon's function `name` with three numbers of the engine's own, `open`, `wait` and `args`, and may stay there
   * for the next `body`. That function has to return when the lowest bit of the 32-bit word at the address `open` is cleared, and when it
   * has waited for `wait` microseconds behind this `body` or a later one. `body` is given how many threads are on their way besides those that are there.
   */
  addon(file: string, name: string): (args: readonly number[], body: (helpers: number) => void) => void
}

/** A backend on the memory of one engine. */
export interface AttachedBackend {
  /**
   * The routine made ready for up to so many threads; undefined where it is left to the engine.
   *
   * @param variant One of `variants`; default what the backend's own rules choose.
   */
  prepare(routine: Routine, threads: number, variant?: string): BackendRoutine | undefined
  /** Names of the ways in which it may compute the routine, for autotuning; not all of them need to exist. */
  variants?(routine: Routine, threads: number): readonly string[]
  /** Where it sees more than JavaScript's weak references do. */
  readonly watcher?: ObjectWatcher
}

/** A routine made ready by a backend. */
export interface BackendRoutine {
  /** Working memory of a run, in bytes. */
  readonly scratchBytes: number
  /**
   * Runs it once and returns when it is done. At the byte address `block` lie the addresses, 32 bits each, of the routine's
   * inputs, its outputs and the working memory, which is a multiple of 64; at the next multiple of 8 behind them the params of
   * its epilogue, as 64-bit floats.
   */
  run(block: number): void
  /** An input that it may be given packed as well; its address, or 0, is another word of the block, behind the working memory's. */
  readonly packed?: PackedInput | undefined
}

/** An input in a layout that suits the code that reads it. */
interface PackedInput {
  /** Which one. */
  readonly input: number
  readonly bytes: number
  /** Working memory of a run that is given it. */
  readonly scratchBytes: number
  /** Inputs of equal memory and keys are packed alike. */
  readonly key: string
  /** From one byte address to another, which is a multiple of 64. */
  pack(source: number, target: number): void
}

const registered: RoutineBackend[] = []

/** Makes a backend known to engines that start from now on. The first one that takes a routine computes it. */
export function registerRoutineBackend(backend: RoutineBackend): void {
  if (!registered.includes(backend)) registered.push(backend)
}

export function routineBackends(): readonly RoutineBackend[] {
  return registered
}
