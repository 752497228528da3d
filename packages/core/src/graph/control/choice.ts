import type { Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { type Body, copyRegion, Flow, type FlowData, isTrue, type Wiring } from './flow.ts'

/** How a branch works on the operands of the choice. */
interface Branch extends Wiring {
  /** Pairs of an input and the output that it becomes, where the other branch writes what this one leaves as it is. */
  readonly copies: readonly (readonly [input: number, output: number])[]
}

interface ChoiceData extends FlowData {
  /** Where the predicate, which is the first input, holds; where it does not. */
  readonly branches: readonly Branch[]
}

/** One of two branches runs, as the predicate has it. */
export class Choice extends Flow<ChoiceData> {
  readonly name = 'cond'

  with(data: ChoiceData, bodies: readonly Body[]): Choice {
    return new Choice(data, bodies)
  }

  surelyWrites(output: number): boolean {
    return this.data.branches.every(({ outputs, copies }) => outputs.includes(output) || copies.some(([, to]) => to === output))
  }

  protected perform(engine: Engine, from: readonly Region[], to: readonly Region[]): void {
    const taken = isTrue(engine, from[0]!) ? 0 : 1
    const { inputs, outputs, copies } = this.data.branches[taken]!
    this.bodies[taken]!.run(
      engine,
      inputs.map((i) => from[i]!),
      outputs.map((i) => to[i]!),
    )
    for (const [input, output] of copies) copyRegion(engine, this.inputs[input]!, from[input]!, to[output]!)
  }
}
