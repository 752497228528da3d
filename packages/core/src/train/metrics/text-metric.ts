import { CotangentError } from '../../errors.ts'
import type { Metric } from '../metric.ts'

/** A text, or several that are as good. */
export type References = string | readonly string[]

/** A metric of texts whose accumulators are sums of numbers, on the host. */
export abstract class TextMetric<Out> implements Metric<Out, [hypotheses: readonly string[], references: readonly References[]]> {
  readonly name: string
  readonly traceable = false
  #sums: readonly number[]

  constructor(name: string, length: number) {
    this.name = name
    this.#sums = new Array<number>(length).fill(0)
  }

  /**
   * @param references One for each hypothesis, or several.
   * @throws {CotangentError} `invalid-argument` where their numbers differ, or there is no reference.
   */
  update(hypotheses: readonly string[], references: readonly References[]): void {
    for (const [what, texts] of Object.entries({ hypotheses, references })) {
      if (Array.isArray(texts) && texts.every((text) => typeof text === 'string' || (what === 'references' && Array.isArray(text))))
        continue
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: `the ${what} are no array of texts`,
        hint: "Pass several at once: update(['a text'], [['one reference', 'another one']]).",
      })
    }
    if (hypotheses.length !== references.length || references.some((given) => given.length === 0 && typeof given !== 'string')) {
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: `there are ${hypotheses.length} hypotheses, and references for ${references.filter((given) => typeof given === 'string' || given.length > 0).length}`,
        hint: 'Give at least one reference for each.',
      })
    }
    hypotheses.forEach((hypothesis, i) => {
      const given = references[i]!
      this.#add(this.count(hypothesis, typeof given === 'string' ? [given] : given))
    })
  }

  /** What a hypothesis adds to the sums. */
  protected abstract count(hypothesis: string, references: readonly string[]): readonly number[]

  protected abstract evaluate(sums: readonly number[]): Out

  protected get sums(): readonly number[] {
    return this.#sums
  }

  async compute(): Promise<Out> {
    return this.evaluate(this.#sums)
  }

  reset(): void {
    this.#sums = this.#sums.map(() => 0)
  }

  merge(other: this): void {
    this.#add(other.#sums)
  }

  stateDict(): { readonly sums: readonly number[] } {
    return { sums: this.#sums }
  }

  loadStateDict({ sums }: { readonly sums: readonly number[] }): void {
    this.reset()
    this.#add(sums)
  }

  #add(more: readonly number[]): void {
    if (more.length !== this.#sums.length) {
      throw new CotangentError('invalid-argument', {
        op: this.name,
        message: `the state to take over has ${more.length} numbers instead of ${this.#sums.length}`,
        hint: 'It must come from a metric of the same kind and options.',
      })
    }
    this.#sums = this.#sums.map((sum, i) => sum + more[i]!)
  }
}

/** How often each run of n tokens occurs. */
export function nGrams(tokens: readonly string[], n: number): Map<string, number> {
  const counts = new Map<string, number>()
  for (let i = 0; i + n <= tokens.length; i++) {
    // Tokens hold no white space.
    const gram = tokens.slice(i, i + n).join(' ')
    counts.set(gram, (counts.get(gram) ?? 0) + 1)
  }
  return counts
}
