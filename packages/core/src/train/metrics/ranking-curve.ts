/** Samples in order of their scores, and what counts as positive above each score. */
export interface RankingCurve {
  /** Distinct scores, highest first. */
  readonly thresholds: readonly number[]
  /** Weight of the positives, and of the negatives, with at least that score. */
  readonly truePositives: readonly number[]
  readonly falsePositives: readonly number[]
}

/** Exactly, from every sample: scores that are equal are one point. */
export function rankingCurve(
  samples: readonly { readonly score: number; readonly positive: number; readonly weight: number }[],
): RankingCurve {
  const counted = samples.filter(({ weight }) => weight !== 0).sort((a, b) => b.score - a.score)
  const curve = { thresholds: [] as number[], truePositives: [] as number[], falsePositives: [] as number[] }
  let [tp, fp] = [0, 0]
  counted.forEach(({ score, positive, weight }, i) => {
    tp += weight * positive
    fp += weight * (1 - positive)
    if (score === counted[i + 1]?.score) return
    curve.thresholds.push(score)
    curve.truePositives.push(tp)
    curve.falsePositives.push(fp)
  })
  return curve
}

/** Area below the curve of true over false positive rates, by trapezoids. NaN where there are no positives, or no negatives. */
export function rocArea({ truePositives, falsePositives }: RankingCurve): number {
  const [positives, negatives] = [truePositives.at(-1) ?? 0, falsePositives.at(-1) ?? 0]
  let area = 0
  truePositives.forEach((tp, i) => {
    const [tpBefore, fpBefore] = i === 0 ? [0, 0] : [truePositives[i - 1]!, falsePositives[i - 1]!]
    area += ((tp + tpBefore) / 2) * (falsePositives[i]! - fpBefore)
  })
  return area / positives / negatives
}

/**
 * Average precision, the sum of precision times the step in recall, or with `trapezoids` the area below the curve of precision over
 * recall joined by lines, which flatters. NaN where there are no positives.
 */
export function precisionRecallArea(
  { truePositives, falsePositives }: RankingCurve,
  { trapezoids }: { readonly trapezoids: boolean },
): number {
  const positives = truePositives.at(-1) ?? 0
  let area = 0
  let [tpBefore, precisionBefore] = [0, 1]
  truePositives.forEach((tp, i) => {
    const found = tp + falsePositives[i]!
    const precision = found === 0 ? 1 : tp / found
    area += (tp - tpBefore) * (trapezoids ? (precision + precisionBefore) / 2 : precision)
    ;[tpBefore, precisionBefore] = [tp, precision]
  })
  return area / positives
}
