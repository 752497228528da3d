import { CotangentError } from '../../errors.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { MetricUpdateOptions } from '../metric.ts'
import { classScores, type ClassOptions, type ClassSetup, classSetup, labelScores } from './class-labels.ts'
import { weighted } from './sample-weights.ts'
import { SumMetric, type Sums } from './sum-metric.ts'

/** The bins of probabilities, and how their gaps become one number. */
export interface CalibrationOptions extends Omit<ClassOptions, 'threshold'> {
  /** Bins of equal width from 0 to 1; a bin includes its upper end. Default 15. */
  readonly bins?: number
  /** Gaps of bins become one by their weighted mean (`l1`, ECE; default), the root of the mean of their squares (`l2`), or the largest (`max`, MCE). */
  readonly norm?: 'l1' | 'l2' | 'max'
}

/** A row of a reliability table. */
export interface ReliabilityBin {
  readonly low: number
  readonly high: number
  /** Weight of the samples whose confidence is above `low` and at most `high`. */
  readonly weight: number
  /** Mean confidence, and the share that was right; NaN in an empty bin. */
  readonly confidence: number
  readonly accuracy: number
}

type Binned = 'weight' | 'confidence' | 'right'

/**
 * How far confidences are from how often they are right: Guo et al., "On calibration of modern neural networks" (2017),
 * arXiv:1706.04599. The confidence is the highest probability in a multiclass task, else the probability of yes. NaN without samples.
 */
export class CalibrationError extends SumMetric<number, Binned, [predictions: Tensor, targets: Tensor, options?: MetricUpdateOptions]> {
  readonly #setup: ClassSetup
  readonly #bins: number
  readonly #norm: NonNullable<CalibrationOptions['norm']>

  constructor({ bins = 15, norm = 'l1', ...options }: CalibrationOptions = {}) {
    const setup = classSetup('calibrationError', options)
    if (!Number.isInteger(bins) || bins < 1)
      throw new CotangentError('invalid-argument', {
        op: setup.name,
        message: `there cannot be ${bins} bins`,
        hint: 'Use 15, for instance.',
      })
    super(setup.name, { weight: [bins], confidence: [bins], right: [bins] })
    this.#setup = setup
    this.#bins = bins
    this.#norm = norm
  }

  update(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions = {}): void {
    this.accumulate(() => {
      const { confidence, right, weights } = this.#confidences(predictions, targets, options)
      const bins = this.#bins
      const bin = confidence
        .mul(bins)
        .ceil()
        .sub(1)
        .clamp({ min: 0, max: bins - 1 })
        .cast('int32')
      const sum = (w: Tensor) => bin.bincount({ weights: w, length: bins })
      return { weight: sum(weights), confidence: sum(weighted(weights, confidence)), right: sum(weighted(weights, right)) }
    })
  }

  #confidences(predictions: Tensor, targets: Tensor, options: MetricUpdateOptions) {
    if (this.#setup.task === 'multiclass') {
      const { scores, actual, weights } = classScores(this.#setup, predictions, targets, options)
      return { confidence: scores.max(-1), right: scores.argmax(-1).eq(actual), weights }
    }
    const { scores, actual, weights } = labelScores(this.#setup, predictions, targets, options)
    return { confidence: scores.reshape([-1]), right: actual.reshape([-1]), weights: weights.reshape([-1]) }
  }

  /** Confidence and accuracy of each bin, for a reliability diagram. */
  async table(): Promise<ReliabilityBin[]> {
    const [{ weight, confidence, right }, bins] = [await this.sums(), this.#bins]
    return Array.from(weight, (w, i) => ({
      low: i / bins,
      high: (i + 1) / bins,
      weight: w,
      confidence: confidence[i]! / w,
      accuracy: right[i]! / w,
    }))
  }

  protected evaluate({ weight, confidence, right }: Sums<Binned>): number {
    const total = weight.reduce((a, b) => a + b, 0)
    if (total === 0 || Number.isNaN(total)) return Number.NaN
    let [mean, meanSquare, largest] = [0, 0, 0]
    weight.forEach((w, i) => {
      if (w === 0) return
      const gap = Math.abs(confidence[i]! - right[i]!) / w
      mean += (w / total) * gap
      meanSquare += (w / total) * gap ** 2
      largest = Math.max(largest, gap)
    })
    return { l1: mean, l2: Math.sqrt(meanSquare), max: largest }[this.#norm]
  }
}
