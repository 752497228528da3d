import { CotangentError } from '../../errors.ts'
import { commonSubsequence, unionOfSubsequences } from './common-subsequence.ts'
import type { NameOption } from './mean-metric.ts'
import { nGrams, TextMetric } from './text-metric.ts'
import { rougeTokens } from './text-tokenizers.ts'

/**
 * Runs of n tokens that both texts have (`rouge1` to `rouge9`), the longest common subsequence of tokens (`rougeL`), or of the union
 * of those of each pair of lines (`rougeLsum`, for summaries of one sentence a line).
 */
export type RougeType = `rouge${1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9}` | 'rougeL' | 'rougeLsum'

/** Which kinds of ROUGE are measured, and what the tokens of a text are. */
export interface RougeOptions<T extends RougeType = RougeType> extends NameOption {
  /** Default `rouge1`, `rouge2` and `rougeL`. */
  readonly types?: readonly T[]
  /** Default: runs of a to z and digits in lower case. A stemmer goes here: `(text) => rougeTokens(text).map(stem)`. */
  readonly tokenize?: (text: string) => readonly string[]
}

/** The shares of the hypothesis and of the reference that both have, and their harmonic mean. */
export interface RougeScore {
  readonly precision: number
  readonly recall: number
  readonly f: number
}

/**
 * ROUGE, the mean over hypotheses of the F-measure, from 0 to 1: Lin, "ROUGE: a package for automatic evaluation of summaries" (2004).
 * Of several references, the one with the best F counts. NaN without samples.
 */
export class Rouge<T extends RougeType = 'rouge1' | 'rouge2' | 'rougeL'> extends TextMetric<Record<T, number>> {
  readonly #types: readonly T[]
  readonly #tokens: (text: string) => readonly string[]

  constructor({
    name = 'rouge',
    types = ['rouge1', 'rouge2', 'rougeL'] as readonly RougeType[] as readonly T[],
    tokenize = rougeTokens,
  }: RougeOptions<T> = {}) {
    super(name, 1 + 3 * types.length)
    const unknown = types.find((type) => !/^rouge([1-9]|L|Lsum)$/.test(type))
    if (unknown !== undefined)
      throw new CotangentError('invalid-argument', {
        op: name,
        message: `there is no ${String(unknown)}`,
        hint: 'Use rouge1 to rouge9, rougeL or rougeLsum.',
      })
    this.#types = types
    this.#tokens = tokenize
  }

  protected count(hypothesis: string, references: readonly string[]): readonly number[] {
    const best = this.#types.map((type) =>
      references.map((reference) => this.#score(type, hypothesis, reference)).reduce((a, b) => (b.f > a.f ? b : a)),
    )
    return [1, ...best.flatMap(({ precision, recall, f }) => [precision, recall, f])]
  }

  /** Means of precision, recall and F of each type. */
  async details(): Promise<Record<T, RougeScore>> {
    return this.#details(this.sums)
  }

  protected evaluate(sums: readonly number[]): Record<T, number> {
    const details = this.#details(sums)
    return Object.fromEntries(this.#types.map((type) => [type, details[type].f])) as Record<T, number>
  }

  #details([samples, ...sums]: readonly number[]): Record<T, RougeScore> {
    const mean = (i: number) => sums[i]! / samples!
    return Object.fromEntries(
      this.#types.map((type, i) => [type, { precision: mean(3 * i), recall: mean(3 * i + 1), f: mean(3 * i + 2) }]),
    ) as Record<T, RougeScore>
  }

  #score(type: RougeType, hypothesis: string, reference: string): RougeScore {
    if (type === 'rougeLsum') {
      const [said, wanted] = [hypothesis, reference].map((text) => text.split('\n').map(this.#tokens))
      return score(unionOfSubsequences(wanted!, said!), said!.flat().length, wanted!.flat().length)
    }
    const [said, wanted] = [this.#tokens(hypothesis), this.#tokens(reference)]
    if (type === 'rougeL') return score(commonSubsequence(wanted, said).length, said.length, wanted.length)
    const n = Number(type.slice(-1))
    const known = nGrams(wanted, n)
    let both = 0
    for (const [gram, count] of nGrams(said, n)) both += Math.min(count, known.get(gram) ?? 0)
    return score(both, said.length - n + 1, wanted.length - n + 1)
  }
}

function score(both: number, said: number, wanted: number): RougeScore {
  const [precision, recall] = [both / Math.max(said, 1), both / Math.max(wanted, 1)]
  return { precision, recall, f: both === 0 ? 0 : (2 * precision * recall) / (precision + recall) }
}
