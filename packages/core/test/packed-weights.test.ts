import {
  compile,
  currentEngine,
  exportProgram,
  gelu,
  loadProgram,
  nn,
  noGrad,
  normal,
  optim,
  setThreads,
  type Tensor,
  zeros,
} from 'cotangent'
import { beforeAll, describe, expect, test } from 'vitest'
import type { WasmEngine } from '../src/engine/wasm/engine.ts'

// Threads that have started by the second call only would need memory that the first one did not.
beforeAll(() => setThreads((currentEngine() as WasmEngine).threads))

const expectClose = (a: Tensor, b: Tensor) => {
  const [x, y] = [a.dataSync(), b.dataSync()]
  expect(a.shape).toEqual(b.shape)
  for (let i = 0; i < x.length; i++) expect(Math.abs(Number(x[i]) - Number(y[i]))).toBeLessThan(1e-3)
}

const blocks = () => (currentEngine() as WasmEngine).heap.stats.blocks

/** Blocks that are there for longer after a second call than after the first one. */
function packedBy(f: () => Tensor): number {
  f().dispose()
  const before = blocks()
  f().dispose()
  return blocks() - before
}

// The addon multiplies matrices where they lie.
describe.skipIf(process.env.COTANGENT_NATIVE === 'all')('weights that stay as they are', () => {
  test.each<[shape: number[], columns: number, transposed: boolean, dtype: 'float32' | 'float64' | 'int32']>([
    [[16, 512], 300, false, 'float32'],
    [[128, 900], 45, true, 'float32'],
    [[5, 700], 257, false, 'float32'],
    [[3, 7, 600], 131, true, 'float32'],
    [[33, 400], 210, false, 'float64'],
    [[17, 500], 70, true, 'int32'],
    [[9, 130], 1030, true, 'float32'],
  ])('%j by %i columns, transposed: %s, %s', (shape, columns, transposed, dtype) => {
    const k = shape.at(-1)!
    const numbers = (...size: number[]): Tensor => (normal(size) as Tensor).mul(dtype === 'int32' ? 5 : 1).cast(dtype) as Tensor
    const w = transposed ? numbers(columns, k).transpose() : numbers(k, columns)
    const x = numbers(...shape)
    const f = compile((x: Tensor) => x.matmul(w) as Tensor)
    const eager = x.matmul(w) as Tensor
    expect(packedBy(() => f(x))).toBe(1)
    for (let i = 0; i < 3; i++) expectClose(f(x), eager)
    const y = numbers(...shape)
    expectClose(f(y), y.matmul(w) as Tensor)
  })

  test('packs of other batch sizes are the same; the layer around them is fused', () => {
    const layer = new nn.Linear(700, 333)
    const f = compile((x: Tensor) => noGrad(() => gelu(layer.forward(x) as Tensor).add(1) as Tensor), { freeze: true })
    const inputs = [16, 8, 32, 50].map((batch) => normal([batch, 700]) as Tensor)
    const packed = inputs.map((x) => packedBy(() => f(x)))
    // Eight rows of a wide product are computed the same way.
    expect(packed).toEqual([1, 0, 0, 0])
    for (const x of inputs)
      expectClose(
        f(x),
        noGrad(() => gelu(layer.forward(x) as Tensor).add(1) as Tensor),
      )
  })

  test('weights that change are packed anew, when they have stayed the same for a while', () => {
    const layer = new nn.Linear(600, 200)
    const optimizer = new optim.SGD(layer, { lr: 0.1 })
    const predict = compile((x: Tensor) => noGrad(() => layer.forward(x) as Tensor))
    const step = compile((x: Tensor) => {
      optimizer.zeroGrad()
      const loss = (layer.forward(x) as Tensor).square().mean()
      loss.backward()
      optimizer.step()
      return loss
    })
    const x = normal([16, 600]) as Tensor
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i <= round; i++)
        expectClose(
          predict(x),
          noGrad(() => layer.forward(x) as Tensor),
        )
      step(x)
    }
    noGrad(() => layer.weight.assign(zeros(layer.weight.shape)))
    for (let i = 0; i < 3; i++)
      expectClose(
        predict(x),
        noGrad(() => layer.forward(x) as Tensor),
      )
  })

  test('programs from files, whose weights may be assigned to', async () => {
    const layer = new nn.Linear(600, 200)
    const x = normal([16, 600]) as Tensor
    const program = loadProgram(await exportProgram((x: Tensor) => layer.forward(x), [x], { state: { layer } }))
    expect(packedBy(() => program.run(x) as Tensor)).toBe(1)
    expectClose(program.run(x) as Tensor, layer.forward(x) as Tensor)
    const { 'layer.weight': weight } = program.stateDict()
    noGrad(() => {
      weight!.assign(weight!.mul(2))
      layer.weight.assign(layer.weight.mul(2))
    })
    for (let i = 0; i < 3; i++) expectClose(program.run(x) as Tensor, layer.forward(x) as Tensor)
  })

  test('single rows and large batches read weights as they are', () => {
    const w = normal([600, 200]) as Tensor
    const f = compile((x: Tensor) => x.matmul(w) as Tensor)
    for (const rows of [1, 2, 300]) {
      const x = normal([rows, 600]) as Tensor
      expect(packedBy(() => f(x))).toBe(0)
    }
  })
})
