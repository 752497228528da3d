import { floatTensor } from './event-tensor.ts'
import { PrCurvePluginData } from './schema.ts'
import { plugin, type Summary } from './summary.ts'
import { invalid, numbersOf, type Values } from './values.ts'

/** Where a precision-recall curve is sampled, and how much examples count. */
export interface PrCurveOptions {
  /** Evenly spaced in [0, 1]. Default 201. */
  readonly thresholds?: number
  /** What each example counts; default 1. */
  readonly weights?: Values
}

/** Keeps 0/0 from being NaN, as TensorBoard does it. */
const leastCount = 1e-7

/** Counts at each threshold what is predicted positive at or above it. `labels` are 0 or 1 (or bool), `predictions` probabilities. */
export function prCurveSummary(labels: Values, predictions: Values, { thresholds = 201, weights }: PrCurveOptions = {}): Summary {
  if (!Number.isInteger(thresholds) || thresholds < 2) throw invalid('prCurve', `thresholds is ${thresholds}`, 'It must be 2 or more.')
  const truth = numbersOf(labels)
  const guesses = numbersOf(predictions)
  const weight = weights && numbersOf(weights)
  if (truth.length !== guesses.length || (weight && weight.length !== truth.length)) {
    throw invalid(
      'prCurve',
      `there are ${truth.length} labels, ${guesses.length} predictions${weight ? ` and ${weight.length} weights` : ''}`,
      'There must be as many of each.',
    )
  }
  const positives = new Float64Array(thresholds)
  const negatives = new Float64Array(thresholds)
  for (let i = 0; i < truth.length; i++) {
    const guess = guesses[i]!
    if (Number.isNaN(guess)) throw invalid('prCurve', `prediction ${i} is NaN`, 'Predictions are probabilities.')
    const bucket = Math.floor(Math.min(Math.max(guess, 0), 1) * (thresholds - 1))
    const share = weight?.[i] ?? 1
    positives[bucket]! += truth[i]! * share
    negatives[bucket]! += (1 - truth[i]!) * share
  }
  for (let t = thresholds - 2; t >= 0; t--) {
    positives[t]! += positives[t + 1]!
    negatives[t]! += negatives[t + 1]!
  }
  const rows = new Float32Array(6 * thresholds)
  for (let t = 0; t < thresholds; t++) {
    const [tp, fp] = [positives[t]!, negatives[t]!]
    const fn = positives[0]! - tp
    const row = [tp, fp, negatives[0]! - fp, fn, tp / Math.max(leastCount, tp + fp), tp / Math.max(leastCount, tp + fn)]
    row.forEach((value, r) => (rows[r * thresholds + t] = value))
  }
  return {
    tensor: floatTensor(rows, [6, thresholds]),
    metadata: plugin('pr_curves', 'tensor', PrCurvePluginData.encode({ numThresholds: thresholds })),
  }
}
