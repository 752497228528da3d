import { CotangentError } from '../errors.ts'
import { compile } from '../graph/compile.ts'
import type { Module } from '../nn/module.ts'
import { tensor, uniform } from '../op/index.ts'
import type { Generator } from '../tensor/generator.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { KvCache } from './kv-cache.ts'
import { pickToken, type SamplingOptions } from './pick-token.ts'

/** A model of texts that reads them bit by bit, with a cache of what it has read. */
export interface CachedLanguageModel extends Module {
  /** Longest sequence. */
  readonly positions: number
  newCache(batch: number, capacity: number): KvCache
  /**
   * Reads tokens int32 `[batch, new]`, the first of which is number `position` (int32 `[]`), behind those that `cache` holds.
   *
   * @returns Logits `[batch, vocabulary]` of the token behind the one at place `last` (int32 `[]`) among `tokens`.
   */
  next(tokens: Tensor, place: { cache: KvCache; position: Tensor; last: Tensor }): Tensor
}

/** The room that a generator takes for texts, once and for all. */
export interface TextGeneratorOptions {
  /** Texts that are written at the same time. Default 1. */
  readonly batch?: number
  /** Most tokens of prompt and continuation together; default as many as the model takes. Every step goes through memory for so many. */
  readonly capacity?: number
}

/** How tokens are picked, and when a text ends. */
export interface GenerateOptions extends SamplingOptions {
  /** Most tokens to write. Default: until the capacity is reached. */
  readonly maxTokens?: number
  /** The token that ends a text, which is then followed by itself until all texts of the batch have ended. */
  readonly stopToken?: number
  /** Where random numbers come from; default the generator that `manualSeed` seeds. */
  readonly generator?: Generator
}

/** Prompts are padded to multiples of it, so that those of about the same length share a program. */
const promptStep = 32

/**
 * Writes texts with a language model, token by token. The prompt is read at once, then each step reads one token; both are
 * compiled programs, which later texts use again.
 *
 *     const writer = new TextGenerator(model.eval(), { capacity: 256 })
 *     for await (const [token] of writer.generate([tokenizer.encode('Once upon a time')], { topP: 0.9 })) ...
 */
export class TextGenerator {
  readonly batch: number
  readonly capacity: number
  readonly #model: CachedLanguageModel
  readonly #next: (tokens: Tensor, position: Tensor, last: Tensor) => Tensor

  constructor(model: CachedLanguageModel, { batch = 1, capacity = model.positions }: TextGeneratorOptions = {}) {
    if (!(Number.isInteger(capacity) && capacity > 0 && capacity <= model.positions))
      throw new CotangentError('invalid-argument', {
        op: 'TextGenerator',
        message: `capacity is ${capacity}, and the model takes ${model.positions} tokens`,
        hint: 'Give a positive integer up to that.',
      })
    this.batch = batch
    this.capacity = capacity
    this.#model = model
    const cache = model.newCache(batch, capacity)
    this.#next = compile((tokens: Tensor, position: Tensor, last: Tensor) => model.next(tokens, { cache, position, last }), {
      dynamic: false,
    })
  }

  /**
   * Continues `batch` prompts of the same length (at least one token each).
   *
   * @returns For each step the next token of every text. Text by text they end with `stopToken`, together at the latest after
   * `maxTokens` or where `capacity` is reached. One generation at a time: a new one forgets what came before.
   */
  async *generate(prompts: readonly (readonly number[])[], options: GenerateOptions = {}): AsyncGenerator<number[], void, undefined> {
    const length = this.#check(prompts, options)
    const { maxTokens = this.capacity, stopToken, generator } = options
    const steps = Math.min(maxTokens, this.capacity - length + 1)
    const ended = prompts.map(() => false)
    let tokens = prompts
    let position = 0
    for (let step = 0; step < steps; step++) {
      const logits = this.#read(tokens, position)
      position += tokens[0]!.length
      const chosen = await this.#choose(logits, options, generator)
      const next = chosen.map((token, i) => (ended[i] ? stopToken! : token))
      yield next
      next.forEach((token, i) => (ended[i] ||= token === stopToken))
      if (ended.every(Boolean)) return
      tokens = next.map((token) => [token])
    }
  }

  /** Logits `[batch, vocabulary]` behind new tokens, the first of which is number `position`. */
  #read(tokens: readonly (readonly number[])[], position: number): Tensor {
    const count = tokens[0]!.length
    // Padding lies behind all that is seen, and is overwritten by the tokens that come there.
    const width = count === 1 ? 1 : Math.min(Math.ceil(count / promptStep) * promptStep, this.capacity - position)
    const padded = tokens.flatMap((row) => [...row, ...new Array<number>(width - count).fill(0)])
    const number = (value: number): Tensor => tensor(value, { dtype: 'int32' }) as Tensor
    return noGrad(() =>
      this.#next(tensor(padded, { shape: [this.batch, width], dtype: 'int32' }) as Tensor, number(position), number(count - 1)),
    )
  }

  async #choose(logits: Tensor, options: SamplingOptions, generator: Generator | undefined): Promise<number[]> {
    if (!samples(options)) return [...((await logits.argmax(-1).data()) as Int32Array)]
    const [scores, draws] = await Promise.all([
      logits.cast('float32').data(),
      uniform([this.batch], { ...(generator && { generator }) }).data(),
    ])
    const size = logits.shape[1]!
    return Array.from(draws as Float32Array, (draw, i) =>
      pickToken((scores as Float32Array).subarray(i * size, (i + 1) * size), draw, options),
    )
  }

  #check(prompts: readonly (readonly number[])[], { maxTokens }: GenerateOptions): number {
    const length = prompts[0]?.length ?? 0
    const fail = (message: string, hint: string): never => {
      throw new CotangentError('invalid-argument', { op: 'TextGenerator.generate', message, hint })
    }
    if (prompts.length !== this.batch) fail(`got ${prompts.length} prompts for a batch of ${this.batch}`, 'Make a generator of that batch.')
    if (length === 0 || prompts.some((prompt) => prompt.length !== length))
      fail(`prompts have ${prompts.map((prompt) => prompt.length).join(', ')} tokens`, 'All need the same number, at least one.')
    if (length > this.capacity) fail(`prompts have ${length} tokens for a capacity of ${this.capacity}`, 'Cut them at the front.')
    if (maxTokens !== undefined && !(Number.isInteger(maxTokens) && maxTokens >= 0))
      fail(`maxTokens is ${maxTokens}`, 'It is a whole number.')
    if (this.#model.training) fail('the model is training, so it would drop out', 'Call eval() on it.')
    return length
  }
}

/** Whether tokens are drawn, rather than the most likely one taken. */
const samples = ({ temperature, topK, topP }: SamplingOptions): boolean =>
  temperature !== 0 && topK !== 1 && (temperature !== undefined || topK !== undefined || topP !== undefined)
