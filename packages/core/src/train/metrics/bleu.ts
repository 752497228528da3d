import { CotangentError } from '../../errors.ts'
import type { NameOption } from './mean-metric.ts'
import { nGrams, TextMetric } from './text-metric.ts'
import { bleuTokenizers } from './text-tokenizers.ts'

/** Tokens and orders of BLEU, and what stands for orders without a match. The defaults are sacreBLEU's. */
export interface BleuOptions extends NameOption {
  /** By its name in sacreBLEU, or a function of yours. Default `13a`. */
  readonly tokenize?: keyof typeof bleuTokenizers | ((text: string) => readonly string[])
  readonly lowercase?: boolean
  /** Default 4: runs of up to four tokens. */
  readonly maxOrder?: number
  /**
   * What stands for an order without any match, after Chen & Cherry, "A systematic comparison of smoothing techniques for
   * sentence-level BLEU" (2014): `exp` (default) halves with each such order, `floor` is a small count, `add-k` adds to all orders
   * above the first, `none` makes BLEU 0.
   */
  readonly smoothing?: 'exp' | 'floor' | 'add-k' | 'none'
  /** The count of `floor` (default 0.1) and `add-k` (default 1). */
  readonly smoothingValue?: number
  /** Leaves out orders that no hypothesis is long enough for. For single sentences. Default false. */
  readonly effectiveOrder?: boolean
}

/** What a BLEU score is made of. */
export interface BleuDetails {
  /** From 0 to 100. */
  readonly score: number
  /** Of each order, in percent, with smoothing. */
  readonly precisions: readonly number[]
  /** What hypotheses that are shorter than their references cost, from 0 to 1. */
  readonly brevityPenalty: number
  /** Tokens of all hypotheses, and of the references that are closest to them in length. */
  readonly hypothesisLength: number
  readonly referenceLength: number
}

/**
 * BLEU of a corpus, from 0 to 100, as sacreBLEU defines it: Papineni et al., "BLEU: a method for automatic evaluation of machine
 * translation" (2002); Post, "A call for clarity in reporting BLEU scores" (2018). NaN without samples.
 */
export class Bleu extends TextMetric<number> {
  readonly #tokens: (text: string) => readonly string[]
  readonly #order: number
  readonly #options: BleuOptions

  constructor(options: BleuOptions = {}) {
    const { name = 'bleu', maxOrder = 4, tokenize = '13a', lowercase = false } = options
    // Samples, both lengths, and matches and totals of each order.
    super(name, 3 + 2 * maxOrder)
    const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: name, message, hint })
    if (!Number.isInteger(maxOrder) || maxOrder < 1) throw refused(`maxOrder is ${maxOrder}`, 'It is a whole number, 4 as a rule.')
    const tokens = typeof tokenize === 'function' ? tokenize : bleuTokenizers[tokenize]
    if (!tokens)
      throw refused(`there is no tokenizer ${tokenize as string}`, `Use ${Object.keys(bleuTokenizers).join(', ')}, or a function.`)
    this.#tokens = (text) => tokens((lowercase ? text.toLowerCase() : text).trimEnd())
    this.#order = maxOrder
    this.#options = options
  }

  protected count(hypothesis: string, references: readonly string[]): readonly number[] {
    const tokens = this.#tokens(hypothesis)
    const others = references.map(this.#tokens)
    const far = (length: number) => Math.abs(length - tokens.length)
    const closest = others.map(({ length }) => length).reduce((a, b) => (far(b) < far(a) || (far(b) === far(a) && b < a) ? b : a))
    const orders = Array.from({ length: this.#order }, (_, i) => i + 1)
    const matches = orders.map((n) => {
      const known = others.map((other) => nGrams(other, n))
      let found = 0
      for (const [gram, count] of nGrams(tokens, n)) found += Math.min(count, Math.max(...known.map((grams) => grams.get(gram) ?? 0)))
      return found
    })
    return [1, tokens.length, closest, ...matches, ...orders.map((n) => Math.max(0, tokens.length - n + 1))]
  }

  /** The parts that the score is made of. */
  async details(): Promise<BleuDetails> {
    return this.#details(this.sums)
  }

  protected evaluate(sums: readonly number[]): number {
    return this.#details(sums).score
  }

  #details([samples, hypothesisLength, referenceLength, ...counts]: readonly number[]): BleuDetails {
    const [length, wanted, order] = [hypothesisLength!, referenceLength!, this.#order]
    const brevityPenalty = length >= wanted ? 1 : length > 0 ? Math.exp(1 - wanted / length) : 0
    const facts = { brevityPenalty, hypothesisLength: length, referenceLength: wanted }
    const matches = counts.slice(0, order)
    if (samples === 0) return { ...facts, score: Number.NaN, precisions: matches.map(() => Number.NaN) }
    if (matches.every((count) => count === 0)) return { ...facts, score: 0, precisions: matches }
    const precisions = this.#precisions(matches, counts.slice(order))
    const known = this.#options.effectiveOrder ? precisions.filter((p) => p !== null) : precisions.map((p) => p ?? 0)
    const mean = known.reduce((sum, p) => sum + Math.log(p), 0) / known.length
    return { ...facts, score: brevityPenalty * Math.exp(mean), precisions: precisions.map((p) => p ?? 0) }
  }

  /** In percent; null from the first order on that nothing is long enough for. */
  #precisions(matches: readonly number[], totals: readonly number[]): (number | null)[] {
    const { smoothing = 'exp', smoothingValue = smoothing === 'floor' ? 0.1 : 1 } = this.#options
    let [missed, ended] = [0, false]
    return matches.map((count, i) => {
      const added = smoothing === 'add-k' && i > 0 ? smoothingValue : 0
      const [found, total] = [count + added, totals[i]! + added]
      ended ||= total === 0
      if (ended) return null
      if (found > 0) return (100 * found) / total
      if (smoothing === 'exp') return 100 / (2 ** ++missed * total)
      return smoothing === 'floor' ? (100 * smoothingValue) / total : 0
    })
  }
}
