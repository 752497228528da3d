import type { Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { sizeOf } from '../../layout.ts'
import { type Body, copyRegion, Flow, type FlowData, type Wiring } from './flow.ts'

/**
 * Operands: inputs are the first carries, the items (all rounds of each, stacked), and what all rounds read; outputs are the last
 * carries, the results (stacked), and for each carry memory that takes turns with the last one or, where carries are kept, holds
 * those from before all rounds.
 */
interface RoundsData extends FlowData {
  readonly carries: number
  readonly items: number
  readonly length: number
  /** From the last item to the first. */
  readonly reverse: boolean
  readonly keeps: boolean
  /** Of what a round reads and writes: of stacked operands, its row; of carries, those before and after it. */
  readonly wiring: Wiring
}

/** A loop over the first axis of its items. */
export class Rounds extends Flow<RoundsData> {
  readonly name = 'scan'

  with(data: RoundsData, bodies: readonly Body[]): Rounds {
    return new Rounds(data, bodies)
  }

  surelyWrites(output: number): boolean {
    return this.data.keeps || output < this.outputs.length - this.data.carries
  }

  protected perform(engine: Engine, from: readonly Region[], to: readonly Region[]): void {
    const { carries, items, length, reverse, keeps, wiring, inputs, outputs } = this.data
    const [body] = this.bodies as readonly [Body]
    const rowSizes = (operands: FlowData['inputs']) => operands.map(({ shape }) => sizeOf(shape.slice(1)))
    const rowOf = ({ buffer, offset }: Region, size: number, at: number): Region => ({ buffer, offset: offset + at * size })
    const carrySizes = inputs.slice(0, carries).map(({ shape }) => sizeOf(shape))
    const [itemSizes, resultSizes] = [
      rowSizes(inputs.slice(carries, carries + items)),
      rowSizes(outputs.slice(carries, -carries || undefined)),
    ]
    const last = to.slice(0, carries)
    const spare = to.slice(to.length - carries)
    const kept = (at: number) => spare.map((region, i) => rowOf(region, carrySizes[i]!, at))
    const copyFirst = (target: readonly Region[]) => target.forEach((region, i) => copyRegion(engine, inputs[i]!, from[i]!, region))
    let before = from.slice(0, carries)
    if (length === 0) copyFirst(last)
    for (let round = 0; round < length; round++) {
      const at = reverse ? length - 1 - round : round
      if (keeps && round === 0) {
        before = kept(at)
        copyFirst(before)
      }
      const isLast = round === length - 1
      const after = isLast ? last : keeps ? kept(reverse ? at - 1 : at + 1) : (length - 1 - round) % 2 === 0 ? last : spare
      const read = (i: number): Region =>
        i < carries ? before[i]! : i < carries + items ? rowOf(from[i]!, itemSizes[i - carries]!, at) : from[i]!
      const write = (i: number): Region => (i < carries ? after[i]! : rowOf(to[i]!, resultSizes[i - carries]!, at))
      body.run(engine, wiring.inputs.map(read), wiring.outputs.map(write))
      before = after
    }
  }
}
