import { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile } from './i32-expression.ts'
import { type Lanes, lanesOf, type LaneType } from './lanes.ts'

/** The function that the worker pool calls, under construction. */
interface RoutineFunction {
  readonly f: FunctionBuilder
  /** The range of tasks. */
  readonly begin: Local<'i32'>
  readonly end: Local<'i32'>
  /** Address of the argument words. */
  readonly args: Local<'i32'>
  /** The calling thread's own scratch memory. */
  readonly scratch: Local<'i32'>
}

/** Starts the export `launch(begin, end, thread, arguments, scratch, stride)` of a routine's module. */
export function routineFunction(m: ModuleBuilder): RoutineFunction {
  const f = m.function('launch', { export: true })
  const [begin, end, thread] = [f.param('i32'), f.param('i32'), f.param('i32')]
  const [args, scratch, stride] = [f.param('i32'), f.param('i32'), f.param('i32')]
  assign(f, scratch, ['+', scratch, ['*', thread, stride]])
  return { f, begin, end, args, scratch }
}

/** A module on its way, for elements of a type: of routines whose results no epilogue follows. */
export function routineModule(type: LaneType, shared: boolean): RoutineFunction & { readonly m: ModuleBuilder; readonly lanes: Lanes } {
  const m = new ModuleBuilder()
  m.importMemory({ shared })
  return { m, lanes: lanesOf(type, false), ...routineFunction(m) }
}

/**
 * Emits the moves of pointers to an element of a batch, whose number `batch` is used up. From `first` on lie `rank` batch axes, the last one
 * fastest: each its size and its stride in bytes for every pointer.
 */
export function moveToBatch(
  f: FunctionBuilder,
  { first, rank }: { readonly first: I32; readonly rank: I32 },
  batch: Local<'i32'>,
  pointers: readonly Local<'i32'>[],
): void {
  const axisBytes = 4 * (1 + pointers.length)
  const left = define(f, rank)
  const axis = define(f, ['+', first, ['*', left, axisBytes]])
  const index = f.local('i32')
  loopWhile(f, ['>', left, 0], () => {
    f.increment(axis, -axisBytes)
    assign(f, index, ['%', batch, ['load', axis, 0]])
    assign(f, batch, ['/', batch, ['load', axis, 0]])
    pointers.forEach((pointer, i) => assign(f, pointer, ['+', pointer, ['*', index, ['load', axis, 4 * (i + 1)]]]))
    f.increment(left, -1)
  })
  f.release(left, axis, index)
}

/** The 32-bit arguments of a routine's code, by name. */
export class ArgumentWords<N extends string> {
  readonly count: number
  readonly #at: ReadonlyMap<N, number>

  constructor(names: readonly N[]) {
    this.count = names.length
    this.#at = new Map(names.map((name, i) => [name, i]))
  }

  /** Position of a word. */
  at(name: N): number {
    return this.#at.get(name)!
  }

  /** The word, of those that begin at `args`. */
  load(args: Local<'i32'>, name: N): I32 {
    return ['load', args, 4 * this.at(name)]
  }

  /** `load` of words that begin at `args`. */
  from(args: Local<'i32'>): (name: N) => I32 {
    return (name) => this.load(args, name)
  }

  /** New locals that hold words. */
  define<const Names extends readonly N[]>(f: FunctionBuilder, args: Local<'i32'>, names: Names): { [K in keyof Names]: Local<'i32'> } {
    return names.map((name) => define(f, this.load(args, name))) as { [K in keyof Names]: Local<'i32'> }
  }

  /** The words with their values, those not named 0, followed by `tail`. */
  withValues(values: Partial<Record<N, number>>, tail: readonly number[] = []): Int32Array {
    const words = new Int32Array(this.count + tail.length)
    for (const name of Object.keys(values) as N[]) words[this.at(name)] = values[name]!
    words.set(tail, this.count)
    return words
  }
}
