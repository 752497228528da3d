import { autocast, compile, type DType, exportProgram, loadProgram, manualSeed, nn, setEngine, Tensor, tensor, uniform } from 'cotangent'
import { beforeEach, describe, expect, test } from 'vitest'
import { leavesOf } from '../tree.ts'

beforeEach(() => {
  setEngine('wasm')
  manualSeed(3)
})

const tensorsIn = (tree: unknown): Tensor[] => leavesOf(tree, (x): x is Tensor => x instanceof Tensor)
const gap = (a: Tensor, b: Tensor): number => a.cast('float32').sub(b.cast('float32')).abs().max().item()

const later = () =>
  tensor(
    Array.from({ length: 25 }, (_, i) => i % 5 > Math.floor(i / 5)),
    { shape: [5, 5] },
  ) as Tensor

/** Layers of `[2, 5, 8]`, and whether results are float32 in mixed precision. */
const layers: Record<string, readonly [make: () => (x: Tensor) => unknown, wide?: 'float32']> = {
  RNN: [() => bound(new nn.RNN(8, 6, { layers: 2, bidirectional: true }))],
  LSTM: [() => bound(new nn.LSTM(8, 6, { layers: 2, bidirectional: true }))],
  GRU: [() => bound(new nn.GRU(8, 6))],
  'attention with a bool mask': [
    () => {
      const layer = new nn.MultiheadAttention(8, 2)
      return (x) => layer.forward(x, x, x, { attnMask: later() })
    },
  ],
  'attention with a float mask': [
    () => {
      const [layer, mask] = [new nn.MultiheadAttention(8, 2), uniform([5, 5])]
      return (x) => layer.forward(x, x, x, { attnMask: mask as Tensor, needWeights: true })
    },
  ],
  'transformer decoder': [
    () => {
      const layer = new nn.TransformerDecoderLayer(8, 2, { feedForward: 16, dropout: 0 })
      return (x) => layer.forward(x, x)
    },
    'float32',
  ],
  'batch norm': [() => bound(new nn.Sequential(new nn.Conv1d(8, 4, 3), new nn.BatchNorm1d(4)))],
  'batch norm in eval mode': [() => bound(new nn.Sequential(new nn.Conv1d(8, 4, 3), new nn.BatchNorm1d(4)).eval())],
  'group norm': [() => bound(new nn.Sequential(new nn.Conv1d(8, 4, 3), new nn.GroupNorm(2, 4))), 'float32'],
  'transposed convolution': [() => bound(new nn.ConvTranspose1d(8, 4, 3))],
  'depthwise convolution': [() => bound(new nn.Conv1d(8, 8, 3, { groups: 8 }))],
  prelu: [() => bound(new nn.PReLU())],
}

const bound = (layer: { forward(x: never): unknown }) => (x: Tensor) => layer.forward(x as never)

describe.each(['bfloat16', 'float16'] as const)('%s', (dtype) => {
  test.each(Object.keys(layers))('%s: near float32, compiled as eager, with gradients', (name) => {
    const [make, wide = dtype as DType] = layers[name]!
    const layer = make()
    const x = uniform([2, 5, 8], { low: -1 }) as Tensor
    const f = (input: Tensor) => tensorsIn(autocast(() => layer(input), { dtype }))
    const eager = f(x)
    expect(eager.map((y) => y.dtype)).toEqual(eager.map(() => wide))
    const full = tensorsIn(layer(x))
    eager.forEach((y, i) => expect(gap(y, full[i]!)).toBeLessThan(dtype === 'bfloat16' ? 0.03 : 0.004))
    compile(f)(x).forEach((y, i) => expect(gap(y, eager[i]!)).toBeLessThan(1e-5))
    x.requiresGrad = true
    f(x)
      .map((y) => y.cast('float32').square().sum() as Tensor)
      .reduce((a, b) => a.add(b))
      .backward()
    expect(x.grad!.dtype).toBe('float32')
    expect(x.grad!.isFinite().all().item()).toBe(1)
  })
})

test('a saved program computes in the precision that it was made with', async () => {
  const model = new nn.Sequential(new nn.Linear(8, 8), new nn.GELU(), new nn.LayerNorm(8), new nn.Linear(8, 2))
  const x = uniform([3, 8])
  const f = (input: Tensor) => autocast(() => model.forward(input))
  const loaded = await loadProgram(await exportProgram(f, [x as Tensor]))
  const y = loaded.run(x) as Tensor
  expect(y.dtype).toBe('bfloat16')
  expect(gap(y, f(x as Tensor))).toBe(0)
})
