import type { Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { type Body, copyRegion, Flow, type FlowData, isTrue, type Wiring } from './flow.ts'

/**
 * Operands: inputs are the first state and what all rounds read; outputs are the last state, memory that takes turns with it, the
 * condition, and numbers that nobody asks for again.
 */
interface RepetitionData extends FlowData {
  /** Tensors of the state. */
  readonly state: number
  /** Rounds at most; may be Infinity. */
  readonly most: number
  readonly test: Wiring
  /** Its outputs below `state` are the state after the round. */
  readonly round: Wiring
}

/** A loop that goes on as long as its condition holds. */
export class Repetition extends Flow<RepetitionData> {
  readonly name = 'whileLoop'

  with(data: RepetitionData, bodies: readonly Body[]): Repetition {
    return new Repetition(data, bodies)
  }

  surelyWrites(output: number): boolean {
    return output < this.data.state || (output === 2 * this.data.state && this.data.most > 0)
  }

  protected perform(engine: Engine, from: readonly Region[], to: readonly Region[]): void {
    const { state: count, most, test, round, inputs } = this.data
    const [condition, body] = this.bodies as readonly [Body, Body]
    const [last, spare] = [to.slice(0, count), to.slice(count, 2 * count)]
    let state: readonly Region[] = from.slice(0, count)
    const read = (i: number): Region => (i < count ? state[i]! : from[i]!)
    for (let rounds = 0; rounds < most; rounds++) {
      condition.run(
        engine,
        test.inputs.map(read),
        test.outputs.map((i) => to[i]!),
      )
      if (!isTrue(engine, to[2 * count]!)) break
      const target = state === last ? spare : last
      const write = (i: number): Region => (i < count ? target[i]! : to[i]!)
      body.run(engine, round.inputs.map(read), round.outputs.map(write))
      state = target
    }
    if (state !== last) last.forEach((region, i) => copyRegion(engine, inputs[i]!, state[i]!, region))
  }
}
