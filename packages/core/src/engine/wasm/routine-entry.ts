import type { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, type I32 } from './i32-expression.ts'

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

  /** The words with their values, those not named 0, followed by `tail`. */
  withValues(values: Partial<Record<N, number>>, tail: readonly number[] = []): Int32Array {
    const words = new Int32Array(this.count + tail.length)
    for (const name of Object.keys(values) as N[]) words[this.at(name)] = values[name]!
    words.set(tail, this.count)
    return words
  }
}
