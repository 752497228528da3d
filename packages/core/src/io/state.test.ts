import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CotangentError, dtypes, engineNames, Generator, nn, noGrad, optim, ones, uniform, setEngine, tensor, type Tensor } from 'cotangent'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { dtypeInfo } from '../dtype.ts'
import { fromRawData } from '../tensor/raw-data.ts'
import { decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
import { digestPlaceholder, sealPieces, webHash } from './digest.ts'
import { loadCheckpoint, loadFile, saveCheckpoint, saveFile } from './file.node.ts'
import { joinBytes } from './join-bytes.ts'
import { decodeSafetensors, encodeSafetensors, safetensorsPieces } from './safetensors.ts'
import { loadNpy, loadSafetensors, saveNpy, saveSafetensors } from './state.ts'

const bytesOf = async (x: Tensor) => [...decodeSafetensors(await saveSafetensors({ x })).tensors.get('x')!.bytes]

/** Bytes that are signalling and quiet NaNs, negative zeros and subnormals of every float dtype. */
const patterns = [
  0x01, 0x00, 0x80, 0x7f, 0x00, 0x00, 0x00, 0x80, 0x01, 0x00, 0xc0, 0xff, 0x01, 0x7c, 0x81, 0xff, 0x01, 0, 0, 0, 0, 0, 0xf0, 0x7f, 0x34,
  0x12, 0, 0, 0, 0, 0xf8, 0xff,
]

describe.each(engineNames())('safetensors on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  test.each(dtypes)('%s round trip, bit for bit', async (dtype) => {
    const bytes = dtype === 'bool' ? [0, 1, 1, 0, 1, 0, 0, 1] : patterns
    const { array, size } = dtypeInfo[dtype]
    const raw = new array(Uint8Array.from(bytes).buffer as ArrayBuffer)
    const x = fromRawData(raw, [2, bytes.length / size / 2], dtype)
    expect(await bytesOf(x)).toEqual(bytes)
    const back = loadSafetensors(await saveSafetensors({ x })).x!
    expect(back.dtype).toBe(dtype)
    expect(back.shape).toEqual(x.shape)
    expect(await bytesOf(back)).toEqual(bytes)
    // Views are saved as what they show, with the same bits.
    const turned = x.transpose(0, 1)
    const perElement = Array.from({ length: bytes.length / size }, (_, i) => bytes.slice(i * size, (i + 1) * size))
    const half = perElement.length / 2
    expect(await bytesOf(turned)).toEqual(Array.from({ length: half }, (_, i) => [...perElement[i]!, ...perElement[half + i]!]).flat())
    expect(await bytesOf(x.slice([1, 2]).flip())).toEqual(perElement.slice(half).reverse().flat())
  })

  test('empty and 0-d tensors, expanded views, nested names, metadata', async () => {
    const file = await saveSafetensors(
      { empty: ones([0, 3]), scalar: tensor(2), layers: [{ wide: tensor([1, 2]).reshape([2, 1]).expand([2, 2]) }] },
      { author: 'me' },
    )
    const loaded = loadSafetensors(file)
    expect(Object.keys(loaded).sort()).toEqual(['empty', 'layers.0.wide', 'scalar'])
    expect(loaded.empty!.shape).toEqual([0, 3])
    expect(loaded.scalar!.item()).toBe(2)
    expect(loaded['layers.0.wide']!.toArray()).toEqual([
      [1, 1],
      [2, 2],
    ])
    expect(decodeSafetensors(file).metadata).toEqual({ author: 'me' })
  })

  test('the values are those of the call', async () => {
    const x = tensor([1, 2])
    const saving = saveSafetensors({ x })
    x.assign(9)
    expect(loadSafetensors(await saving).x!.toArray()).toEqual([1, 2])
  })
})

test('what cannot be saved or loaded is refused', async () => {
  await expect(saveSafetensors({ a: { b: 1 as never } })).rejects.toThrow(/"a.b" is number, not a tensor/)
  await expect(saveSafetensors({ 'a.b': ones([1]), a: { b: ones([1]) } })).rejects.toThrow(/"a.b" is given twice/)
  const odd = encodeSafetensors([['flags', { dtype: 'bool', shape: [2], bytes: Uint8Array.of(1, 2) }]])
  expect(() => loadSafetensors(odd)).toThrow(/"flags" holds a byte that is neither 0 nor 1/)
})

function training(seed = 0.5) {
  const model = nn.sequential(new nn.Linear(3, 4), new nn.Linear(4, 2))
  noGrad(() => model.parameters().forEach((p, i) => p.assign(seed + i / 8)))
  const optimizer = new optim.AdamW([{ params: model.parameters().slice(0, 2), lr: 0.1 }, { params: model.parameters().slice(2) }], {
    amsgrad: true,
  })
  const scheduler = new optim.ReduceLROnPlateau(optimizer)
  const step = () => {
    optimizer.zeroGrad()
    model
      .forward(tensor([[1, 2, 3]]))
      .square()
      .sum()
      .backward()
    optimizer.step()
  }
  return { model, optimizer, scheduler, step }
}

const valuesOf = (model: nn.Module) => model.parameters().map((p) => [...p.dataSync()])

describe.each(engineNames())('checkpoints on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  test('training goes on exactly as without one', async () => {
    const straight = training()
    const before = training()
    const other = training(-1)
    for (let i = 0; i < 8; i++) straight.step()
    for (let i = 0; i < 3; i++) before.step()
    const { model, optimizer, scheduler } = before
    const extra = {
      epoch: 3,
      best: -0,
      limit: Number.POSITIVE_INFINITY,
      seed: 2n ** 70n,
      note: 'hä',
      list: [Number.NaN, null, true],
      mask: tensor([true, false]),
    }
    const file = await encodeCheckpoint({ model, optimizer, scheduler }, extra)

    const back = await decodeCheckpoint<typeof extra>(file, { model: other.model, optimizer: other.optimizer, scheduler: other.scheduler })
    const { mask, ...rest } = back
    expect(rest).toEqual({
      epoch: 3,
      best: -0,
      limit: Number.POSITIVE_INFINITY,
      seed: 2n ** 70n,
      note: 'hä',
      list: [Number.NaN, null, true],
    })
    expect(mask.toArray()).toEqual([true, false])
    expect(other.scheduler.best).toBe(Number.POSITIVE_INFINITY)
    expect(other.optimizer.paramGroups.map((g) => g.lr)).toEqual([0.1, 1e-3])
    for (let i = 0; i < 5; i++) other.step()
    expect(valuesOf(other.model)).toEqual(valuesOf(straight.model))
  })
})

describe('a checkpoint', () => {
  test('is a safetensors file with plain names, from which a model alone can be loaded', async () => {
    const { model, optimizer, step } = training()
    step()
    const file = await encodeCheckpoint({ model, optimizer })
    const names = [...decodeSafetensors(file).tensors.keys()]
    expect(names).toEqual(expect.arrayContaining(['0.weight', '1.bias', 'optimizer.state.0.expAvg', 'optimizer.state.3.maxExpAvgSq']))
    const other = training(-1)
    expect(await decodeCheckpoint(file, { model: other.model })).toEqual({})
    expect(valuesOf(other.model)).toEqual(valuesOf(model))
    await decodeCheckpoint(await saveSafetensors(training(2).model.stateDict()), { model: other.model })
    expect(valuesOf(other.model)).toEqual(valuesOf(training(2).model))
  })

  test('that lacks a part, or does not fit, is refused with a list', async () => {
    const { model, optimizer } = training()
    const file = await encodeCheckpoint({ model })
    await expect(decodeCheckpoint(file, { model, optimizer })).rejects.toThrow(/there is no optimizer in this file, but model/)
    const wider = nn.sequential(new nn.Linear(3, 4), new nn.Linear(4, 2), new nn.Linear(2, 2))
    await expect(decodeCheckpoint(file, { model: wider })).rejects.toThrow(/2\.weight is missing[^]*2\.bias is missing/)
  })

  test('with any bit changed is refused', async () => {
    const { model } = training()
    const file = await encodeCheckpoint({ model }, { note: 'as it was' })
    for (let at = 0; at < file.length; at++) {
      const changed = file.slice()
      changed[at]! ^= 1 << (at % 8)
      // Where the header is no longer read as ours, it is no checkpoint: then the model's names do not fit either.
      await expect(decodeCheckpoint(changed, { model }), `byte ${at}`).rejects.toBeInstanceOf(CotangentError)
    }
    for (const end of [0, 7, 100, file.length - 5]) {
      await expect(decodeCheckpoint(file.slice(0, end), { model })).rejects.toMatchObject({ code: 'corrupt-file' })
    }
    await expect(decodeCheckpoint(new Uint8Array([...file, 0]), { model })).rejects.toMatchObject({ code: 'corrupt-file' })
    expect(await decodeCheckpoint(file, { model })).toEqual({ note: 'as it was' })
  })

  test('that was made to deceive is refused', async () => {
    const sealed = async (metadata: Record<string, string>) =>
      joinBytes(
        await sealPieces(safetensorsPieces([], { format: 'cotangent.checkpoint.2', digest: digestPlaceholder, ...metadata }), webHash),
      )
    const withExtra = async (extra: string) => decodeCheckpoint(await sealed({ model: '{}', extra }), {})
    await expect(withExtra('{')).rejects.toThrow(/state of "extra" is not JSON/)
    await expect(withExtra('{"a":{"$tensor":"gone"}}')).rejects.toThrow(/tensor "gone" of "extra" is missing/)
    await expect(withExtra('{"$what":"x"}')).rejects.toThrow(/something unknown: "\$what"/)
    await expect(withExtra(`${'['.repeat(5000)}${']'.repeat(5000)}`)).rejects.toThrow(/nested too deep/)
    const { optimizer } = training()
    await expect(decodeCheckpoint(await sealed({ optimizer: '{"paramGroups":3}' }), { optimizer })).rejects.toThrow(
      /not the state of an optimiser/,
    )
    await expect(decodeCheckpoint(await sealed({ format: 'cotangent.checkpoint.9' }), {})).rejects.toThrow(/"cotangent.checkpoint.9"/)
    await expect(decodeCheckpoint(encodeSafetensors([], { format: 'cotangent.checkpoint.2' }), {})).rejects.toThrow(/digest/)
  })

  test('has the random numbers go on', async () => {
    const [own, other] = [new Generator(2n ** 63n + 5n), new Generator(1)]
    uniform([3], { generator: own })
    const file = await encodeCheckpoint({ random: own })
    const next = uniform([5], { generator: own }).toArray()
    await decodeCheckpoint(file, { random: other })
    expect(uniform([5], { generator: other }).toArray()).toEqual(next)
    expect(() => own.loadStateDict({ seed: 1n, calls: -1 })).toThrow(/-1 is no count of calls/)
    expect(() => own.loadStateDict({ seed: 'x' as never, calls: 1 })).toThrow(/x is not a seed/)
  })

  test('of things that cannot be saved is refused', async () => {
    const part = (state: unknown) => ({ stateDict: () => state, loadStateDict: () => {} })
    await expect(encodeCheckpoint({ own: part({ f: () => 1 }) })).rejects.toThrow(/"own.f" cannot be saved: it is function/)
    await expect(encodeCheckpoint({ own: part({ at: new Date() }) })).rejects.toThrow(
      /"own.at" cannot be saved: it is an object of a class/,
    )
    await expect(encodeCheckpoint({ extra: part({}) })).rejects.toThrow(/"extra" cannot be the name of a part/)
    await expect(encodeCheckpoint({ model: part({ 'own.weight': ones([1]) }), own: part({}) })).rejects.toThrow(
      /"own.weight" could not be told from another part/,
    )
  })
})

describe('files', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'cotangent-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  test('are written as a whole', async () => {
    const path = join(folder, 'model.safetensors')
    const { model, optimizer, step } = training()
    step()
    await saveCheckpoint(path, { model, optimizer }, { epoch: 1 })
    await saveCheckpoint(path, { model, optimizer }, { epoch: 2 })
    const other = training(-1)
    expect(await loadCheckpoint(path, { model: other.model, optimizer: other.optimizer })).toEqual({ epoch: 2 })
    expect(valuesOf(other.model)).toEqual(valuesOf(model))
    await saveFile(path, { x: ones([2]) })
    expect((await loadFile(path)).x!.toArray()).toEqual([1, 1])
    expect(await readdir(folder)).toEqual(['model.safetensors'])
  })

  test('stay as they were on failure', async () => {
    const path = join(folder, 'a.safetensors')
    await writeFile(path, 'old')
    await expect(saveFile(path, { x: 1 as never })).rejects.toThrow(CotangentError)
    expect(await readFile(path, 'utf8')).toBe('old')
    await expect(loadFile(path)).rejects.toThrow(/the file has 3 bytes/)
    await expect(saveFile(join(folder, 'none', 'a'), { x: ones([1]) })).rejects.toThrow(/cannot be written: ENOENT/)
    await expect(saveFile(folder, { x: ones([1]) })).rejects.toThrow(/cannot be written/)
    await expect(loadFile(join(folder, 'none'))).rejects.toThrow(/cannot be read: ENOENT/)
    expect(await readdir(folder)).toEqual(['a.safetensors'])
  })
})

describe.each(engineNames())('npy on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  test('round trip of a view', async () => {
    const x = tensor([
      [1, 2, 3],
      [4, 5, 6],
    ]).transpose(0, 1)
    const back = loadNpy(await saveNpy(x))
    expect(back.dtype).toBe('float32')
    expect(back.toArray()).toEqual([
      [1, 4],
      [2, 5],
      [3, 6],
    ])
  })

  test('what is no such file', () => {
    expect(() => loadNpy(new Uint8Array(20))).toThrow('loadNpy')
  })
})
