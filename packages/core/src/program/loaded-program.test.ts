import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import {
  check,
  cond,
  crossEntropy,
  CotangentError,
  currentEngine,
  dropout,
  embedding,
  engineNames,
  exportProgram,
  loadProgram,
  manualSeed,
  nn,
  noGrad,
  optim,
  scan,
  setEngine,
  type Tensor,
  tensor,
  whileLoop,
  zeros,
} from '../index.ts'
import { decodeSafetensors, encodeSafetensors } from '../io/safetensors.ts'
import type { ExportOptions } from './export.ts'
import type { LoadedProgram } from './loaded-program.ts'
import { fillTree, type SavedTree } from './tree-file.ts'

type Json = null | boolean | number | string | Json[] | { [key: string]: Json }

const step = new Uint8Array(readFileSync(new URL('../../../../test/golden/data/program-v1.safetensors', import.meta.url)))
let pooled: Uint8Array
let looped: Uint8Array

beforeAll(async () => {
  manualSeed(5)
  const model = new nn.Sequential(new nn.Conv2d(1, 2, 3), new nn.ReLU(), new nn.MaxPool2d(2), new nn.Flatten(), new nn.Linear(8, 3))
  const table = tensor(
    [
      [1, 2, 3],
      [4, 5, 6],
    ],
    { requiresGrad: true },
  )
  const f = (x: Tensor, i: Tensor) => {
    const loss = crossEntropy(model.forward(x).add(embedding(table, i)), i)
    loss.backward()
    return { loss, gradients: [...model.parameters(), table].map((p) => p.grad) }
  }
  pooled = await exportProgram(
    f as never,
    [tensor(new Float32Array(72), { shape: [2, 6, 6, 1] }), tensor([0, 1], { dtype: 'int32' })] as never,
  )
  looped = await exportProgram(...controlled())
})

/** A training step with loops in branches, random numbers, a buffer that rounds write, a scheduler and steps that may be skipped. */
function controlled(): [(xs: Tensor) => Tensor, [Tensor], ExportOptions] {
  const layer = new nn.Linear(2, 2)
  const optimizer = new optim.AdamW(layer, { lr: 0.1 })
  const scheduler = new optim.SequentialLR({
    schedulers: [new optim.LinearLR(optimizer, { totalIters: 2 }), new optim.StepLR(optimizer, { stepSize: 2 })],
    milestones: [3],
  })
  const scaler = new optim.GradScaler()
  const seen = tensor([0, 0])
  const f = (xs: Tensor): Tensor => {
    check(xs.isFinite().all(), 'finite inputs')
    const [h] = scan(
      (h, x) => {
        const next = cond(
          x.sum().gt(0),
          (v) => layer.forward(dropout(v, 0.5)).tanh(),
          (v) =>
            whileLoop(
              (u) => u.abs().sum().lt(1),
              (u) => u.mul(2).add(0.1),
              v,
              { maxIterations: 20 },
            ),
          h.add(x),
        )
        noGrad(() => seen.select(0, 1).assign(seen.select(0, 0).add(next.sum())))
        return [next, null]
      },
      zeros([2]),
      xs,
    )
    const loss = h.square().sum().add(layer.weight.square().sum())
    optimizer.zeroGrad()
    scaler.scale(loss).backward()
    scaler.step(optimizer)
    scaler.update()
    scheduler.step()
    return loss
  }
  return [f, [tensor([0.5, 1, -1, -2, 1, 1], { shape: [3, 2] }) as Tensor], { state: { layer, optimizer } }]
}

/** Loads and, if it loads, runs; only errors of the library may come. */
function attempt(bytes: Uint8Array): void {
  try {
    runOnZeros(loadProgram(bytes, { maxBytes: 2 ** 24 }))
  } catch (error) {
    if (!(error instanceof CotangentError)) throw error
  }
}

function runOnZeros(program: LoadedProgram): void {
  const zeros = (spec: unknown): unknown => {
    if (typeof spec !== 'object' || spec === null) return spec
    if (Array.isArray(spec)) return spec.map(zeros)
    const { dtype, shape } = spec as { dtype: 'float32'; shape: number[] }
    return tensor(
      Array.from({ length: shape.reduce((a, b) => a * b, 1) }, () => 0),
      { dtype, shape },
    )
  }
  program.run(...program.inputs.map(zeros))
}

/** The file with its program changed. */
function changed(file: Uint8Array, change: (program: never, state: never) => void): Uint8Array {
  const { tensors, metadata } = decodeSafetensors(file)
  const program: unknown = JSON.parse(metadata.program!)
  const state: unknown = JSON.parse(metadata.state!)
  change(program as never, state as never)
  return encodeSafetensors(tensors, { ...metadata, program: JSON.stringify(program), state: JSON.stringify(state) })
}

/** All places in JSON that hold a number, text or truth value, or a list that can lose a part. */
function placesIn(json: Json, path: (string | number)[] = []): (string | number)[][] {
  if (typeof json !== 'object' || json === null) return [path]
  const inner = Array.isArray(json)
    ? json.map((part, i) => placesIn(part, [...path, i]))
    : Object.entries(json).map(([key, part]) => placesIn(part, [...path, key]))
  return [path, ...inner.flat()]
}

function put(json: Json, path: readonly (string | number)[], value: Json): void {
  let at = json as never as Record<string, never>
  for (const key of path.slice(0, -1)) at = at[key as string]!
  at[path.at(-1) as string] = value as never
}

describe.each(engineNames())('hostile files on %s', (engine) => {
  const files = () => [step, pooled, looped]
  const onEngine = (body: () => void) => () => {
    const before = currentEngine().name
    setEngine(engine)
    try {
      body()
    } finally {
      setEngine(before)
    }
  }

  test(
    'flipped bytes and truncated files give typed errors',
    onEngine(() => {
      fc.assert(
        fc.property(
          fc.nat(2),
          fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 255 })), { minLength: 1, maxLength: 3 }),
          (which, flips) => {
            const bytes = files()[which]!.slice()
            for (const [at, mask] of flips) bytes[at % bytes.length]! ^= mask
            expect(() => attempt(bytes)).not.toThrow()
          },
        ),
        { numRuns: 250 },
      )
      fc.assert(
        fc.property(fc.nat(2), fc.nat(), (which, length) => {
          const bytes = files()[which]!
          expect(() => loadProgram(bytes.subarray(0, length % bytes.length))).toThrow(CotangentError)
        }),
        { numRuns: 100 },
      )
    }),
    60_000,
  )

  test(
    'changed programs stay within their memory or give typed errors',
    onEngine(() => {
      const values = fc.oneof(
        fc.constantFrom<Json>(null, true, false, '', 'NaN', '__proto__', {}, []),
        fc.constantFrom<Json>(-1, 0, 1, 2, 3, 5, 7, 100, 2 ** 20, 2 ** 28, 2 ** 31, 2 ** 32, 2 ** 53, 0.5),
        fc.constantFrom<Json>('float32', 'int32', 'bool', 'int64', 'add', 'max', 'gather', 'load', 'scatter', 'matmul'),
      )
      for (const file of files()) {
        const places = placesIn(JSON.parse(decodeSafetensors(file).metadata.program!) as Json).slice(1)
        fc.assert(
          fc.property(fc.nat(places.length - 1), values, (at, value) => {
            expect(() => attempt(changed(file, (program) => put(program, places[at]!, value)))).not.toThrow()
          }),
          { numRuns: 200 },
        )
      }
    }),
    60_000,
  )

  test(
    'changed states give typed errors',
    onEngine(() => {
      const values = fc.constantFrom<Json>(null, true, '', 'NaN', 'StepLR', '__proto__', {}, [], -1, 0, 1, 2.5, 1e9, 2 ** 53)
      const places = placesIn(JSON.parse(decodeSafetensors(looped).metadata.state!) as Json).slice(1)
      fc.assert(
        fc.property(fc.nat(places.length - 1), values, (at, value) => {
          expect(() => attempt(changed(looped, (_, state) => put(state, places[at]!, value)))).not.toThrow()
        }),
        { numRuns: 150 },
      )
    }),
    60_000,
  )
})

describe('what is wrong is named', () => {
  const refusal = (change: (program: never, state: never) => void, file = step): string => {
    try {
      loadProgram(changed(file, change))
    } catch (error) {
      expect(error).toBeInstanceOf(CotangentError)
      return `${(error as CotangentError).code}: ${(error as CotangentError).message}`
    }
    return 'loaded'
  }
  // oxlint-disable-next-line typescript/no-explicit-any -- JSON to be broken at will
  type Loose = Record<string, any>

  test.each<[string, (program: Loose, state: Loose) => void, RegExp]>([
    [
      'a read beyond a value',
      (p) =>
        (p.programs
          .find((x: Loose) => x.nodes?.some((n: Loose) => n.op === 'load'))
          .nodes.find((n: Loose) => n.op === 'load').offset = 1e6),
      /corrupt-file.*reaches elements/,
    ],
    [
      'code that uses what comes later',
      (p) => (p.programs.find((x: Loose) => x.nodes?.some((n: Loose) => n.args)).nodes.find((n: Loose) => n.args).args[0] = 9999),
      /corrupt-file.*outside of/,
    ],
    ['an unknown field', (p) => (p.extra = 1), /corrupt-file.*unknown field "extra"/],
    ['an unknown rule', (_, s) => (s.groups[0].rule = 'Nothing'), /corrupt-file.*no optimiser/],
    ['an option that does not exist', (_, s) => (s.groups[0].options.speed = 3), /corrupt-file.*no option speed/],
    ['an operation too early', (p) => p.operations.reverse(), /corrupt-file.*not there/],
    ['an operation left out', (p) => p.operations.splice(0, 1), /corrupt-file/],
    ['writes to what is no tensor', (p) => (p.writes[0][0] = 0), /corrupt-file.*no tensor of the program/],
    ['a tensor that nobody uses', (p) => (p.values.find((v: Loose) => v.tensor).tensor = 'other'), /corrupt-file.*not in the file/],
    [
      'a tree too deep',
      (p) => (p.result = Array.from({ length: 100 }).reduce((inner) => ({ list: [inner] }), p.result)),
      /corrupt-file.*nested/,
    ],
  ])('%s', (_, change, message) => {
    expect(refusal(change as never)).toMatch(message)
  })

  test('another version, another file, too much memory', () => {
    const { tensors, metadata } = decodeSafetensors(step)
    expect(() => loadProgram(encodeSafetensors(tensors, { ...metadata, version: '3' }))).toThrow(
      expect.objectContaining({ code: 'unsupported' }),
    )
    expect(() => loadProgram(encodeSafetensors(tensors))).toThrow(expect.objectContaining({ code: 'corrupt-file' }))
    expect(() => loadProgram(step, { maxBytes: 1000 })).toThrow(expect.objectContaining({ code: 'out-of-memory' }))
  })
})

test.each(engineNames())('a gather whose code does not keep its index in range is kept in range, on %s', async (engine) => {
  const before = currentEngine().name
  setEngine(engine)
  try {
    const table = tensor([10, 20, 30])
    const index = tensor([0, 2], { dtype: 'int32' })
    const honest = await exportProgram((i: Tensor) => table.take(i, 0), [index])
    const hostile = changed(honest, (program: { programs: { nodes?: { op: string; type: string; args?: number[] }[] }[] }) => {
      for (const { nodes = [] } of program.programs) {
        const raw = nodes.findIndex((n) => n.op === 'load' && n.type === 'int32')
        for (const n of nodes) if (n.op === 'gather') n.args = [raw]
      }
    })
    const run = (at: number[]) => (loadProgram(hostile).run(tensor(at, { dtype: 'int32' })) as Tensor).toArray()
    expect(run([1, 2])).toEqual([20, 30])
    expect(run([2 ** 30, -(2 ** 30)])).toEqual([30, 10])
  } finally {
    setEngine(before)
  }
})

test('names of fields cannot reach prototypes', () => {
  const tree: SavedTree = { kind: 'object', parts: [['constructor', { kind: 'constant', value: 1 }]] }
  expect(Object.hasOwn(fillTree(tree, () => 0) as object, 'constructor')).toBe(true)
  expect(() => loadProgram(changed(step, (p: { result: Json }) => (p.result = { object: [['__proto__', p.result]] })))).toThrow(
    CotangentError,
  )
})
