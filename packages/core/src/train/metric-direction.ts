/** Whether less or more of a metric is better. */
export type Direction = 'min' | 'max'

const larger =
  /(accuracy|precision|recall|f\d|fbeta|auc|r2|iou|dice|jaccard|bleu|rouge|correlation|pearson|spearman|kappa|mcc|matthews|similarity|variance|score|specificity|samplespersecond)/i
const smaller = /(loss|error|mae|mse|rmse|mape|perplexity|brier|logloss|calibration)/i

/** What a metric's name says; unknown ones are taken for losses. */
export const directionOf = (name: string): Direction => (larger.test(name) && !smaller.test(name) ? 'max' : 'min')

/** Whether a value is better than the best so far by more than `delta`. NaN never is; everything is better than NaN. */
export function isBetter(value: number, best: number, direction: Direction, delta = 0): boolean {
  if (Number.isNaN(value)) return false
  if (Number.isNaN(best)) return true
  return direction === 'min' ? value < best - delta : value > best + delta
}
