import { isFloat } from '../../dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { AnyMetric, MetricFunction } from '../metric-set.ts'
import { FBeta } from '../metrics/f-beta.ts'
import { MeanAbsoluteError } from '../metrics/mean-absolute-error.ts'
import { MeanSquaredError } from '../metrics/mean-squared-error.ts'
import { Precision } from '../metrics/precision.ts'
import { R2Score } from '../metrics/r2-score.ts'
import { Recall } from '../metrics/recall.ts'
import { RocAuc } from '../metrics/roc-auc.ts'

/** Right or not, for one class a row, or a yes or no an element, as the shapes say. */
const accuracyOver =
  (threshold: number): MetricFunction =>
  (outputs, targets) => {
    const classes = outputs.shape.at(-1) ?? 1
    if (classes === 1 || outputs.rank === 0) return perExample(outputs.gt(threshold).eq(targets.reshape(outputs.shape).cast('bool')))
    if (targets.rank === outputs.rank - 1) return perExample(outputs.argmax(-1).eq(targets))
    if (isFloat(targets.dtype)) return perExample(outputs.argmax(-1).eq(targets.argmax(-1)))
    return perExample(outputs.gt(threshold).eq(targets.cast('bool')))
  }

const perExample = (right: Tensor): Tensor => {
  const rows = right.cast('float32')
  return rows.rank > 1 ? rows.reshape([rows.shape[0]!, -1]).mean(-1) : rows
}

/** Metrics by the names that Keras has for them. */
export const metrics: Readonly<Record<string, (options: { readonly logits: boolean }) => AnyMetric>> = {
  accuracy: ({ logits }) => accuracyOver(logits ? 0 : 0.5),
  acc: ({ logits }) => accuracyOver(logits ? 0 : 0.5),
  mse: () => new MeanSquaredError(),
  mae: () => new MeanAbsoluteError(),
  r2: () => new R2Score(),
  precision: ({ logits }) => new Precision({ fromLogits: logits }),
  recall: ({ logits }) => new Recall({ fromLogits: logits }),
  f1: ({ logits }) => new FBeta({ fromLogits: logits }),
  auc: ({ logits }) => new RocAuc({ fromLogits: logits }),
}
