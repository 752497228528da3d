import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import {
  crossEntropy,
  currentEngine,
  dropout,
  exportProgram,
  loadProgram,
  manualSeed,
  mseLoss,
  nn,
  normal,
  optim,
  scatter,
  setEngine,
  type Tensor,
  tensor,
} from '../index.ts'

const initial = currentEngine().name
afterEach(() => {
  setEngine(initial)
})

const values = (x: unknown): number[] => [...((x as Tensor).dataSync() as Float32Array)]

describe.each(['reference', 'wasm'])('on %s', (engine) => {
  const reload = async (bytes: Uint8Array) => {
    const program = loadProgram(bytes)
    expect(await program.save()).toEqual(bytes)
    return program
  }

  test('an MLP', async () => {
    setEngine(engine)
    manualSeed(1)
    const model = new nn.Sequential(new nn.Linear(3, 5), new nn.ReLU(), new nn.Linear(5, 2))
    const x = normal([4, 3])
    const bytes = await exportProgram((a: Tensor) => ({ y: model.forward(a), kind: 'mlp' }), [x], { state: { model } })
    const program = await reload(bytes)
    expect(Object.keys(program.stateDict()).sort()).toEqual(['model.0.bias', 'model.0.weight', 'model.2.bias', 'model.2.weight'])
    expect(program.inputs).toEqual([{ dtype: 'float32', shape: [4, 3] }])
    expect(program.outputs).toEqual({ y: { dtype: 'float32', shape: [4, 2] }, kind: 'mlp' })
    const made = program.run(x) as { y: Tensor; kind: string }
    expect(made.kind).toBe('mlp')
    expect(values(made.y)).toEqual(values(await compiled((a: Tensor) => model.forward(a), x)))
    expect(() => program.run(normal([3, 3]))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
    expect(() => program.run(3)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
  })

  test('a CNN with batch norm, and a transformer layer', async () => {
    setEngine(engine)
    manualSeed(2)
    const cnn = new nn.Sequential(
      new nn.Conv2d(1, 3, 3, { padding: 1 }),
      new nn.BatchNorm2d(3),
      new nn.ReLU(),
      new nn.MaxPool2d(2),
      new nn.Flatten(),
      new nn.Linear(3 * 9, 2),
    ).eval()
    const image = normal([2, 6, 6, 1])
    const first = await reload(await exportProgram((x: Tensor) => cnn.forward(x), [image], { state: { cnn } }))
    expectClose(values(first.run(image)), values(cnn.forward(image)))
    const layer = new nn.TransformerEncoderLayer(8, 2, { feedForward: 16 }).eval()
    const words = normal([2, 5, 8])
    const second = await reload(await exportProgram((x: Tensor) => layer.forward(x), [words], { state: { layer } }))
    expectClose(values(second.run(words)), values(layer.forward(words)))
  })

  test.each(['SGD', 'AdamW', 'Adafactor', 'NAdam'] as const)('a training step with %s and dropout goes on after loading', async (name) => {
    setEngine(engine)
    manualSeed(3)
    const model = new nn.Sequential(new nn.Linear(4, 6), new nn.Tanh(), new nn.Linear(6, 3))
    const optimizer = new optim[name](model, { lr: 0.05 })
    const x = normal([5, 4])
    const y = tensor([0, 1, 2, 1, 0], { dtype: 'int32' })
    const step = (a: Tensor, labels: Tensor): Tensor => {
      const loss = crossEntropy(model.forward(dropout(a, 0.3)), labels)
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss
    }
    const { compile } = await import('../graph/compile.ts')
    const run = compile(step)
    for (let i = 0; i < 3; i++) run(x, y)
    const bytes = await exportProgram(step, [x, y], { state: { model, optimizer } })
    const program = await reload(bytes)
    for (let i = 0; i < 10; i++) expectClose(values(program.run(x, y)), values(run(x, y)))
    // And once more from the middle, with another learning rate.
    const again = loadProgram(await program.save())
    optimizer.lr = 0.01
    again.groups[0]!.options.lr = 0.01
    for (let i = 0; i < 3; i++) expectClose(values(again.run(x, y)), values(run(x, y)))
  })

  test('indices out of range stay within the memory of the program', async () => {
    setEngine(engine)
    const table = tensor([10, 20, 30])
    const index = tensor([0, 2], { dtype: 'int32' })
    const bytes = await exportProgram((i: Tensor) => table.take(i, 0), [index])
    const program = loadProgram(bytes)
    expect(values(program.run(index))).toEqual([10, 30])
    expect(values(program.run(tensor([9, 1], { dtype: 'int32' })))).toEqual([30, 20])
    const put = await exportProgram((i: Tensor) => scatter(tensor([0, 0, 0]), 0, i, tensor([1, 2])), [index])
    expect(values(loadProgram(put).run(index))).toEqual([1, 0, 2])
  })
})

test('a fresh process computes the same', async () => {
  manualSeed(4)
  const model = new nn.Linear(3, 1)
  const optimizer = new optim.AdamW(model, { lr: 0.1 })
  const x = normal([4, 3])
  const step = (a: Tensor): Tensor => {
    const loss = mseLoss(model.forward(a), a.sum(1, { keepDims: true }))
    optimizer.zeroGrad()
    loss.backward()
    optimizer.step()
    return loss
  }
  const bytes = await exportProgram(step, [x], { state: { model, optimizer } })
  const expected: number[] = []
  const original = loadProgram(bytes)
  for (let i = 0; i < 10; i++) expected.push(values(original.run(x))[0]!)
  const folder = await mkdtemp(join(tmpdir(), 'program-'))
  try {
    const path = join(folder, 'step.safetensors')
    await writeFile(path, bytes)
    const source = (name: string) => JSON.stringify(fileURLToPath(new URL(name, import.meta.url)))
    const script = join(folder, 'run.mts')
    await writeFile(
      script,
      `import { readFileSync } from 'node:fs'
import { loadProgram, tensor } from ${source('../index.ts')}
const program = loadProgram(readFileSync(${JSON.stringify(path)}))
const x = tensor(${JSON.stringify(values(x))}, { shape: [4, 3] })
const losses = []
for (let i = 0; i < 10; i++) losses.push(program.run(x).item())
console.log(JSON.stringify(losses))`,
    )
    const tsx = fileURLToPath(new URL('../../../../node_modules/tsx/dist/cli.mjs', import.meta.url))
    const { stdout } = await promisify(execFile)(process.execPath, [tsx, '--conditions=source', script])
    expect(JSON.parse(stdout)).toEqual(expected)
  } finally {
    await rm(folder, { recursive: true })
  }
}, 30_000)

test('a file of version 1 keeps loading', async () => {
  const program = loadProgram(await readFile(new URL('../../../../test/golden/data/program-v1.safetensors', import.meta.url)))
  const losses = [0, 1, 2].map(
    () =>
      values(
        program.run(
          tensor([
            [1, 2],
            [3, 4],
          ]),
          tensor([1, 0], { dtype: 'int32' }),
        ),
      )[0]!,
  )
  expectClose(losses, [0.7211301922798157, 1.3085466623306274, 0.7685253620147705])
})

test('a file of version 2 keeps loading', async () => {
  const program = loadProgram(await readFile(new URL('../../../../test/golden/data/program-v2.safetensors', import.meta.url)))
  const xs = tensor([0.5, 1, -1, -2, 1, 1], { shape: [3, 2] })
  const losses = [0, 1, 2, 3].map(() => values(program.run(xs))[0]!)
  expectClose(losses, [-1.0437456369400024, -2.55433988571167, -5.020020484924316, -7.069607734680176])
  expect(program.groups[0]!.options.lr).toBeCloseTo(0.025)
})

test('what a file cannot hold is refused', async () => {
  const model = new nn.Linear(2, 1)
  const x = normal([3, 2])
  await expect(exportProgram((a: Tensor) => a.assign(a.add(1)), [x])).rejects.toMatchObject({ code: 'unsupported' })
  await expect(exportProgram(() => model, [])).rejects.toMatchObject({ code: 'invalid-argument' })
})

async function compiled(f: (x: Tensor) => Tensor, x: Tensor): Promise<Tensor> {
  const { compile } = await import('../graph/compile.ts')
  return compile(f)(x)
}

function expectClose(made: readonly number[], expected: readonly number[]): void {
  expect(made.length).toBe(expected.length)
  made.forEach((x, i) => expect(Math.abs(x - expected[i]!)).toBeLessThanOrEqual(1e-5 * Math.max(1, Math.abs(expected[i]!))))
}
