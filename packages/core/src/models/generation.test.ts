import { describe, expect, test } from 'vitest'
import { Generator, manualSeed, noGrad, tensor, type Tensor } from '../index.ts'
import { type GenerateOptions, TextGenerator } from './generation.ts'
import { Gpt2 } from './gpt2.ts'

const small = { vocabulary: 19, positions: 48, width: 8, layers: 2, heads: 2 }

function modelOf(): Gpt2 {
  manualSeed(3)
  const model = new Gpt2(small).eval()
  // Far enough from even that what was read matters.
  for (const parameter of model.parameters()) noGrad(() => parameter.assign(parameter.mul(12)))
  return model
}

async function written(writer: TextGenerator, prompts: number[][], options?: GenerateOptions): Promise<number[][]> {
  const tokens: number[][] = []
  for await (const next of writer.generate(prompts, options)) tokens.push(next)
  return tokens
}

/** What the model finds likeliest without a cache. */
function likeliest(model: Gpt2, prompt: number[], count: number): number[] {
  const text = [...prompt]
  for (let i = 0; i < count; i++) {
    const logits = noGrad(() => model.forward(tensor([text], { dtype: 'int32' }) as Tensor))
    text.push(logits.at(0, -1).argmax().item())
  }
  return text.slice(prompt.length)
}

describe('TextGenerator', () => {
  test('writes what the model without a cache does, for prompts of any length, one after the other', async () => {
    const model = modelOf()
    const writer = new TextGenerator(model, { capacity: 44 })
    for (const length of [1, 5, 33, 44]) {
      const prompt = Array.from({ length }, (_, i) => (i * 7) % 19)
      const count = Math.min(9, 44 - length + 1)
      expect((await written(writer, [prompt], { maxTokens: 9 })).flat()).toEqual(likeliest(model, prompt, count))
    }
  })

  test('draws from a generator, so that a seed repeats it', async () => {
    const writer = new TextGenerator(modelOf(), { batch: 2 })
    const prompts = [
      [1, 2],
      [3, 4],
    ]
    const drawn = (seed: number) =>
      written(writer, prompts, { maxTokens: 12, temperature: 2, topK: 8, topP: 0.9, generator: new Generator(seed) })
    const first = await drawn(5)
    expect(await drawn(5)).toEqual(first)
    expect(await drawn(6)).not.toEqual(first)
    expect(first.flat().every((token) => Number.isInteger(token) && token >= 0 && token < 19)).toBe(true)
  })

  test('temperature 0 and topK 1 take the likeliest', async () => {
    const writer = new TextGenerator(modelOf())
    const greedy = await written(writer, [[4, 9]], { maxTokens: 6 })
    expect(await written(writer, [[4, 9]], { maxTokens: 6, temperature: 0, topP: 0.5 })).toEqual(greedy)
    expect(await written(writer, [[4, 9]], { maxTokens: 6, topK: 1 })).toEqual(greedy)
  })

  test('ends with the stop token, each text by itself', async () => {
    const writer = new TextGenerator(modelOf(), { batch: 2 })
    const prompts = [[4], [11]]
    const free = await written(writer, prompts, { maxTokens: 20, temperature: 3, generator: new Generator(1) })
    const stopToken = free[2]![0]!
    const stopped = await written(writer, prompts, { maxTokens: 20, temperature: 3, stopToken, generator: new Generator(1) })
    const columns = [0, 1].map((text) => stopped.map((tokens) => tokens[text]!))
    for (const column of columns) {
      const end = column.indexOf(stopToken)
      if (end >= 0) expect(column.slice(end).every((token) => token === stopToken)).toBe(true)
    }
    expect(columns[0]!.indexOf(stopToken)).toBeLessThanOrEqual(2)
    expect(await written(writer, prompts, { maxTokens: 0 })).toEqual([])
  })

  test('says what is wrong', async () => {
    const writer = new TextGenerator(modelOf(), { batch: 2, capacity: 8 })
    const message = (prompts: number[][], options?: GenerateOptions) => written(writer, prompts, options).then(String, String)
    expect(await message([[1]])).toContain('got 1 prompts for a batch of 2')
    expect(await message([[1], []])).toContain('prompts have 1, 0 tokens')
    expect(await message([[], []])).toContain('at least one')
    expect(await message([new Array(9).fill(0), new Array(9).fill(0)])).toContain('9 tokens for a capacity of 8')
    expect(await message([[1], [2]], { maxTokens: -1 })).toContain('maxTokens is -1')
    expect(await message([[1], [2]], { topP: 2 })).toContain('topP is 2')
    expect(() => new TextGenerator(modelOf(), { capacity: 49 })).toThrow('takes 48 tokens')
    const training = new TextGenerator(modelOf().train())
    expect(await written(training, [[1]]).then(String, String)).toContain('eval()')
  })
})
