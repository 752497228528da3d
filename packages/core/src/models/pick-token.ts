import { CotangentError } from '../errors.ts'

/** How the next token is picked from logits. */
export interface SamplingOptions {
  /** Divides the logits: below 1 likely tokens become likelier; 0 takes the most likely one. Default 1 where anything is sampled. */
  readonly temperature?: number
  /** Only so many most likely tokens take part. Fan et al., arXiv:1805.04833. Default: all. */
  readonly topK?: number
  /** Only the fewest most likely tokens that have this probability together take part. Holtzman et al., arXiv:1904.09751. Default 1: all. */
  readonly topP?: number
}

/**
 * The token that a number evenly distributed in [0, 1) picks from the distribution that logits stand for, after temperature, `topK`
 * and `topP` in this order.
 *
 * @throws {CotangentError} `invalid-argument` for options out of range, or logits of which none is finite.
 */
export function pickToken(
  logits: Float32Array,
  draw: number,
  { temperature = 1, topK = logits.length, topP = 1 }: SamplingOptions = {},
): number {
  const fail = (message: string, hint: string): never => {
    throw new CotangentError('invalid-argument', { op: 'pickToken', message, hint })
  }
  if (!(temperature > 0)) fail(`temperature is ${temperature}`, 'It is a positive number; 0 in generate() takes the most likely token.')
  if (!(Number.isInteger(topK) && topK >= 1)) fail(`topK is ${topK}`, 'It is a positive whole number.')
  if (!(topP > 0 && topP <= 1)) fail(`topP is ${topP}`, 'It is a probability above 0.')

  const largest = logits.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY)
  if (!Number.isFinite(largest)) fail(`the largest logit is ${largest}`, 'The model gives no numbers: look for NaN in its weights.')
  const weights = Float64Array.from(logits, (logit) => Math.exp((logit - largest) / temperature))
  const least = topK < weights.length || topP < 1 ? leastWeight(weights, topK, topP) : 0
  const total = weights.reduce((sum, weight) => (weight >= least ? sum + weight : sum), 0)
  let rest = draw * total
  let picked = 0
  for (let token = 0; token < weights.length; token++) {
    const weight = weights[token]!
    if (weight < least || weight === 0) continue
    picked = token
    rest -= weight
    if (rest < 0) break
  }
  return picked
}

/** The weight that a token must have to be one of the `topK` heaviest, and of the fewest that have the share `topP` of those. */
function leastWeight(weights: Float64Array, topK: number, topP: number): number {
  const heaviest = weights.toSorted().subarray(-topK)
  let missing = topP * heaviest.reduce((sum, weight) => sum + weight, 0)
  let at = heaviest.length
  while (at > 0 && missing > 0) missing -= heaviest[--at]!
  return heaviest[at]!
}
