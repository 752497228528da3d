import type { Control, ControlOperand, Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { CotangentError } from '../../errors.ts'
import { sizeOf } from '../../layout.ts'
import { ProgramExecutable } from '../executor.ts'
import { packNumbers } from '../host-task.ts'
import { optimize } from '../passes.ts'
import type { Program } from '../program.ts'

/** What a branch is, or what a loop repeats: a program that works on memory of the one around. */
export class Body {
  readonly program: Program
  /** How many numbers of its own it asks the host for. If there are any, the last region that it writes takes them. */
  readonly numbers: number
  readonly #optimized: boolean
  #executable: ProgramExecutable | undefined

  /** @param program Its outputs are memory that it makes, one each. @param options.optimized Whether passes are through with it. */
  constructor(program: Program, { optimized = false } = {}) {
    this.program = program
    this.numbers = program.graph.host.reduce((sum, step) => sum + (step.kind === 'numbers' ? step.count : 0), 0)
    this.#optimized = optimized
  }

  /** As passes leave it. */
  optimized(engine: Engine): Program {
    return this.#optimized ? this.program : optimize(this.program, { engine, frozen: false })
  }

  /** Made when it is first asked for. */
  executable(engine: Engine): ProgramExecutable {
    return (this.#executable ??= new ProgramExecutable(engine, this.optimized(engine)))
  }

  /** @param outputs One for each of its outputs, then one for `numbers`, if there are any. */
  run(engine: Engine, inputs: readonly Region[], outputs: readonly Region[]): void {
    const drawn = this.executable(engine).runAt(inputs, outputs)
    if (this.numbers > 0) packNumbers(engine, outputs.at(-1)!, drawn)
  }
}

/** Which operands of a control flow a body works on, by their positions there. */
export interface Wiring {
  readonly inputs: readonly number[]
  readonly outputs: readonly number[]
}

/** What every control flow has: plain data, so that it can be written to files, and told for further sizes. */
export interface FlowData {
  readonly inputs: readonly ControlOperand[]
  readonly outputs: readonly ControlOperand[]
  readonly effect: boolean
}

/** Control flow, as plain data and the programs that it runs. */
export abstract class Flow<D extends FlowData = FlowData> implements Control {
  readonly kind = 'control'
  abstract readonly name: string
  readonly data: D
  readonly bodies: readonly Body[]

  constructor(data: D, bodies: readonly Body[]) {
    this.data = data
    this.bodies = bodies
  }

  get inputs(): readonly ControlOperand[] {
    return this.data.inputs
  }

  get outputs(): readonly ControlOperand[] {
    return this.data.outputs
  }

  get effect(): boolean {
    return this.data.effect
  }

  run(engine: Engine, inputs: readonly Region[], outputs: readonly Region[]): void {
    if (!engine.synchronous) {
      throw new CotangentError('async-only', {
        op: this.name,
        message: `the ${engine.name} engine cannot be read while a compiled function runs`,
        hint: 'Use where() for choices, and a JavaScript loop around compiled steps.',
      })
    }
    this.perform(engine, inputs, outputs)
  }

  /** The same flow with other data and bodies. */
  abstract with(data: D, bodies: readonly Body[]): Flow<D>

  /** Whether every run writes all of an output. */
  abstract surelyWrites(output: number): boolean

  protected abstract perform(engine: Engine, inputs: readonly Region[], outputs: readonly Region[]): void
}

/** Whether a predicate holds. */
export const isTrue = (engine: Engine, { buffer, offset }: Region): boolean => Boolean(engine.readSync(buffer, 'bool', offset, 1)[0])

/** Copies elements where nothing else has to be computed. */
export function copyRegion(engine: Engine, { dtype, shape }: ControlOperand, from: Region, to: Region): void {
  const size = sizeOf(shape)
  if (size > 0) engine.write(to.buffer, dtype, to.offset, engine.readSync(from.buffer, dtype, from.offset, size))
}
