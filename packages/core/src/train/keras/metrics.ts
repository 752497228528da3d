import { isFloat } from '../../dtype.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { AnyMetric, MetricFunction } from '../metric-set.ts'
import { CosineSimilarity } from '../metrics/cosine-similarity.ts'
import { FBeta } from '../metrics/f-beta.ts'
import { MeanAbsoluteError } from '../metrics/mean-absolute-error.ts'
import { MeanSquaredError } from '../metrics/mean-squared-error.ts'
import { Precision } from '../metrics/precision.ts'
import { R2Score } from '../metrics/r2-score.ts'
import { Recall } from '../metrics/recall.ts'
import { RocAuc } from '../metrics/roc-auc.ts'
import { RootMeanSquaredError } from '../metrics/root-mean-squared-error.ts'
import { classIndices } from './like-outputs.ts'
import { percentage } from './losses.ts'

/** Right or not, for one class a row, or a yes or no an element, as the shapes say. */
const accuracyOver =
  (threshold: number): MetricFunction =>
  (outputs, targets) => {
    const classes = outputs.shape.at(-1) ?? 1
    if (classes === 1 || outputs.rank === 0) return perExample(outputs.gt(threshold).eq(targets.reshape(outputs.shape).cast('bool')))
    const indices = classIndices(outputs, targets)
    if (indices.rank === outputs.rank - 1) return perExample(outputs.argmax(-1).eq(indices))
    if (isFloat(targets.dtype)) return perExample(outputs.argmax(-1).eq(targets.argmax(-1)))
    return perExample(outputs.gt(threshold).eq(targets.cast('bool')))
  }

const perExample = (right: Tensor): Tensor => {
  const rows = right.cast('float32')
  return rows.rank > 1 ? rows.reshape([rows.shape[0]!, -1]).mean(-1) : rows
}

/** Whether the class is among those with the five highest scores, as Keras has it. */
const topFive: MetricFunction = (outputs, targets) => {
  const indices = classIndices(outputs, targets)
  const classes = indices.rank === outputs.rank ? indices.argmax(-1) : indices
  const own = outputs.gather(-1, classes.cast('int32').unsqueeze(-1))
  return perExample(outputs.gt(own).cast('int32').sum(-1).lt(5))
}

type Maker = (options: { readonly logits: boolean }) => AnyMetric

const accuracy: Maker = ({ logits }) => accuracyOver(logits ? 0 : 0.5)
const [squared, absolute] = [() => new MeanSquaredError(), () => new MeanAbsoluteError()]
const root = () => new RootMeanSquaredError()
const percent = (): MetricFunction => (outputs, targets) => perExample(percentage(outputs, targets, { reduction: 'none' }))
const f1: Maker = ({ logits }) => new FBeta({ fromLogits: logits })

/** Metrics by the names that Keras has for them. */
export const metrics: Readonly<Record<string, Maker>> = {
  accuracy,
  acc: accuracy,
  binaryAccuracy: accuracy,
  categoricalAccuracy: accuracy,
  sparseCategoricalAccuracy: accuracy,
  topKCategoricalAccuracy: () => topFive,
  sparseTopKCategoricalAccuracy: () => topFive,
  mse: squared,
  meanSquaredError: squared,
  rmse: root,
  rootMeanSquaredError: root,
  mae: absolute,
  meanAbsoluteError: absolute,
  mape: percent,
  meanAbsolutePercentageError: percent,
  cosineSimilarity: () => new CosineSimilarity(),
  r2: () => new R2Score(),
  r2Score: () => new R2Score(),
  precision: ({ logits }) => new Precision({ fromLogits: logits }),
  recall: ({ logits }) => new Recall({ fromLogits: logits }),
  f1,
  f1Score: f1,
  auc: ({ logits }) => new RocAuc({ fromLogits: logits }),
}
