// What the workers of the tests run.
import { add } from '../../op/binary.ts'
import { tensor } from '../../op/creation.ts'
import { uniform } from '../../op/random.ts'
import { arange } from '../../op/range.ts'
import { keep } from '../../tensor/scope.ts'
import '../../index.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { ElementContext } from '../element-context.ts'
import { inWorker } from '../in-worker.ts'

export interface Order {
  readonly do: 'add' | 'turn' | 'part' | 'kept' | 'lost' | 'random' | 'fail' | 'die' | 'hang' | 'wait' | 'echo'
  readonly x: number
  readonly tensor?: Tensor
  /** Come back as they are, twice. */
  readonly values?: Readonly<Record<string, Tensor>>
}

function failing(x: number): never {
  throw new RangeError(`cannot do ${x}`)
}

/** Tensors that live as long as the worker. */
const [table, kept, lost] = [arange(12).reshape([3, 4]), keep(arange(4)), arange(4)]

function sumOf({ do: what, x, tensor: given = tensor([0]) }: Order): Tensor {
  if (what === 'turn') return add(given, x).reshape([-1, 4]).transpose(0, 1)
  if (what === 'part') return table.select(0, x % 3)
  if (what === 'kept') return kept
  if (what === 'lost') return lost
  return add(given, x)
}

export const transform = inWorker(async (order: Order, { generator, index }: ElementContext) => {
  if (order.do === 'fail') failing(order.x)
  if (order.do === 'die') (globalThis as unknown as { process: { exit(code: number): never } }).process.exit(3)
  if (order.do === 'hang') await new Promise(() => {})
  // So that results come in another order than elements went.
  if (order.do === 'wait') await new Promise((done) => setTimeout(done, (order.x * 7) % 5))
  const sum = sumOf(order)
  return {
    index,
    sum,
    bytes: Uint8Array.of(order.x),
    random: order.do === 'random' ? uniform([2], { generator }) : null,
    half: tensor([order.x], { dtype: 'float16' }),
    values: order.values ? [order.values, order.values] : null,
  }
})
