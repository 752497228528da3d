// What the workers of the tests run.
import { add } from '../../op/binary.ts'
import { tensor } from '../../op/creation.ts'
import { uniform } from '../../op/random.ts'
import '../../index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { ElementContext } from '../element-context.ts'
import { inWorker } from '../in-worker.ts'

export interface Order {
  readonly do: 'add' | 'random' | 'fail' | 'die' | 'wait'
  readonly x: number
  readonly tensor?: Tensor
}

function failing(x: number): never {
  throw new RangeError(`cannot do ${x}`)
}

export const transform = inWorker(async (order: Order, { generator, index }: ElementContext) => {
  if (order.do === 'fail') failing(order.x)
  if (order.do === 'die') (globalThis as unknown as { process: { exit(code: number): never } }).process.exit(3)
  // So that results come in another order than elements went.
  if (order.do === 'wait') await new Promise((done) => setTimeout(done, (order.x * 7) % 5))
  const sum = add(order.tensor ?? tensor([0]), order.x)
  return {
    index,
    sum,
    bytes: Uint8Array.of(order.x),
    random: order.do === 'random' ? uniform([2], { generator }) : null,
    half: tensor([order.x], { dtype: 'float16' }),
  }
})
