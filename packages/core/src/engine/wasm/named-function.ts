import type { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { type I32, push } from './i32-expression.ts'

/**
 * A function of a module whose parameters, all i32, have names, so that calls cannot mix up a dozen of addresses and counts.
 * `O`: names that some modules leave out.
 */
export class NamedFunction<N extends string, O extends string = never> {
  readonly f: FunctionBuilder
  readonly params: Readonly<Record<N | O, Local<'i32'>>>
  readonly #names: readonly (N | O)[]

  constructor(m: ModuleBuilder, name: string, names: readonly (N | O)[]) {
    this.f = m.function(name)
    this.params = Object.fromEntries(names.map((param) => [param, this.f.param('i32')])) as Record<N | O, Local<'i32'>>
    this.#names = names
  }

  /** Calls it in the body of `caller`. What it has no parameter for is left out. */
  call(caller: FunctionBuilder, args: Readonly<Record<N, I32> & Partial<Record<O, I32>>>): void {
    for (const name of this.#names) push(caller, args[name]!)
    caller.call(this.f)
  }
}
