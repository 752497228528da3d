import { readFileSync } from 'node:fs'
import { crossEntropy, noGrad, tensor, type Tensor } from 'cotangent'
import * as models from 'cotangent/models'
import { describe, expect, test } from 'vitest'
import type { Module } from '../../packages/core/src/nn/module.ts'
import { decode, expectClose } from './load.ts'

/** Norm and weighted sum of a tensor. */
type Summary = readonly [norm: number, weighted: number]

interface Case {
  readonly name: string
  readonly args?: readonly unknown[]
  readonly options: object
  /** By the names and in the layouts that PyTorch has. */
  readonly shapes: Readonly<Record<string, readonly number[]>>
  readonly loss: number
  readonly gradients: Readonly<Record<string, Summary>>
}

interface PictureCase extends Case {
  readonly input: readonly number[]
  readonly labels: readonly number[]
  readonly eval: unknown
  readonly buffers: Readonly<Record<string, Summary>>
}

interface TextCase extends Case {
  readonly tokens: readonly number[][]
  readonly results: readonly unknown[]
}

interface BertCase extends TextCase {
  readonly mask: readonly number[][]
  readonly segments: readonly number[][]
  readonly plain: readonly unknown[]
}

interface Gpt2Case extends TextCase {
  readonly greedy: readonly number[][]
}

const load = <C extends Case>(name: string): C[] =>
  JSON.parse(readFileSync(new URL(`./data/models/${name}.json`, import.meta.url), 'utf8')).cases

const close = { rtol: 1e-7, atol: 1e-9 }

/** Numbers in [0, 1) that follow from a name: models.py has the same. */
function uniform(name: string, size: number): Float64Array {
  let seed = 0x811c9dc5
  for (const byte of new TextEncoder().encode(name)) seed = Math.imul(seed ^ byte, 0x01000193)
  return Float64Array.from({ length: size }, (_, i) => {
    let h = (Math.imul(i, 0x9e3779b1) + seed) >>> 0
    h = Math.imul(h ^ (h >>> 15), 0x85ebca6b)
    h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
    return ((h ^ (h >>> 16)) >>> 0) / 2 ** 32
  })
}

function valueOf(name: string, shape: readonly number[]): Tensor {
  const size = shape.reduce((a, b) => a * b, 1)
  const scale = Math.sqrt(3 / (size / shape[0]!))
  const positive = name.endsWith('running_var') || name.endsWith('weight')
  const values = uniform(name, size).map((u) => (shape.length > 1 ? (2 * u - 1) * scale : positive ? u + 0.5 : (u - 0.5) * 0.2))
  return tensor(values, { shape, dtype: 'float64' })
}

/** The model of a case, with its weights loaded as from a checkpoint. */
function modelOf<M extends Module>({ name, args = [], options, shapes }: Case): M {
  const make = (models as unknown as Record<string, unknown>)[name] as (options: object) => M
  const Class = make as unknown as new (...options: unknown[]) => M
  const model = name.startsWith('resnet') ? make(options) : new Class(...args, options)
  const state = Object.entries(shapes).map(([key, shape]) => [key, valueOf(key, shape)] as const)
  expect(models.loadPyTorchState(model, state)).toEqual({ missing: [], unexpected: [] })
  return model
}

function summaryOf(x: Tensor): Summary {
  const values = x.dataSync() as Float64Array
  const weights = [0.5, -0.75, 1, -1.25]
  return [Math.hypot(...values), values.reduce((sum, v, i) => sum + v * weights[i % 4]!, 0)]
}

/** Compares summaries of tensors by PyTorch's names and layouts, to so much of each one's norm. */
function expectSummaries(actual: Readonly<Record<string, Tensor>>, expected: Readonly<Record<string, Summary>>, share = 1e-7): void {
  for (const [name, [norm, weighted]] of Object.entries(expected)) {
    const [ours, sum] = summaryOf(actual[name]!)
    expect(Math.abs(ours - norm), `norm of ${name}: ${ours} for ${norm}`).toBeLessThanOrEqual(share * norm + 1e-12)
    expect(Math.abs(sum - weighted), `sum of ${name}: ${sum} for ${weighted}`).toBeLessThanOrEqual(share * norm + 1e-12)
  }
}

/** Gradients of all parameters under PyTorch's names: a model that holds them as parameters is asked for its state. */
function gradientsOf(model: Module): Record<string, Tensor> {
  const gradients = [...model.namedParameters()].map(([name, p]) => [name, p.grad] as const)
  noGrad(() => {
    for (const [name, parameter] of model.namedParameters()) parameter.assign(gradients.find(([n]) => n === name)![1] ?? 0)
  })
  return models.pytorchState(model)
}

describe.each(['resnet', 'mobilenet-v2'])('%s against torchvision', (file) => {
  test.each(load<PictureCase>(file))('$name', (golden) => {
    const model = modelOf<Module & { forward(x: Tensor): Tensor }>(golden)
    const size = golden.input.reduce((a, b) => a * b, 1)
    const x = tensor(
      uniform('images', size).map((u) => 4 * u - 2),
      { shape: golden.input, dtype: 'float64' },
    )
    expectClose(
      noGrad(() => model.eval().forward(x)),
      decode(golden.eval) as Tensor,
      close,
    )
    const loss = crossEntropy(model.train().forward(x), tensor(golden.labels, { dtype: 'int32' }))
    expect(loss.item()).toBeCloseTo(golden.loss, 9)
    loss.backward()
    expectSummaries(models.pytorchState(model), golden.buffers)
    expectSummaries(gradientsOf(model), golden.gradients)
  })
})

const tokensOf = (rows: readonly (readonly number[])[]): Tensor => tensor(rows.flat(), { shape: [rows.length, rows[0]!.length], dtype: 'int32' })

/** The sum that gradients start from: models.py has the same. */
const weighted = (y: Tensor): Tensor =>
  y
    .mul(
      tensor(
        Array.from({ length: y.size }, (_, i) => [0.5, -0.75, 1, -1.25][i % 4]!),
        { shape: y.shape, dtype: y.dtype },
      ),
    )
    .sum()

describe('bert against transformers', () => {
  type Output = models.BertOutput | Tensor
  const resultsOf = (output: Output): Tensor[] => ('hidden' in output ? [output.hidden, output.pooled!] : [output])

  test.each(load<BertCase>('bert'))('$name', (golden) => {
    const model = modelOf<Module & { forward(tokens: Tensor, inputs?: models.BertInputs): Output }>(golden)
    const tokens = tokensOf(golden.tokens)
    const results = resultsOf(model.forward(tokens, { attentionMask: tokensOf(golden.mask), segments: tokensOf(golden.segments) }))
    results.forEach((y, i) => expectClose(y, decode(golden.results[i]) as Tensor, close))
    resultsOf(noGrad(() => model.forward(tokens))).forEach((y, i) => expectClose(y, decode(golden.plain[i]) as Tensor, close))
    const [first] = results as [Tensor]
    const loss =
      golden.name === 'Bert'
        ? results.map(weighted).reduce((a, b) => a.add(b))
        : crossEntropy(first, golden.name === 'BertForMaskedLM' ? tokens : tensor([2, 0], { dtype: 'int32' }))
    expect(loss.item()).toBeCloseTo(golden.loss, 9)
    loss.backward()
    expectSummaries(gradientsOf(model), golden.gradients)
  })
})

describe('gpt2 against transformers', () => {
  const [golden] = load<Gpt2Case>('gpt2') as [Gpt2Case]
  const tokens = tokensOf(golden.tokens)

  test('a training step', () => {
    const model = modelOf<models.Gpt2>(golden)
    const logits = model.forward(tokens)
    expectClose(logits, decode(golden.results[0]) as Tensor, close)
    const loss = crossEntropy(logits.at(':', ':-1'), tokens.at(':', '1:') as Tensor)
    expect(loss.item()).toBeCloseTo(golden.loss, 9)
    loss.backward()
    expectSummaries(
      gradientsOf(model),
      Object.fromEntries(Object.entries(golden.gradients).map(([name, summary]) => [name.replace('transformer.', ''), summary])),
    )
  })

  test('writes what it finds likeliest, with a cache, up to its capacity', async () => {
    const writer = new models.TextGenerator(modelOf<models.Gpt2>(golden).eval(), { batch: 2 })
    const texts = golden.tokens.map((row) => [...row])
    for await (const next of writer.generate(golden.tokens, { maxTokens: 41 })) next.forEach((token, i) => texts[i]!.push(token))
    expect(texts).toEqual(golden.greedy)
  })
})
