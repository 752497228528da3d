import { compile, noGrad, tensor, type Tensor, uniform, where, zeros } from 'cotangent'
import * as train from 'cotangent/train'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Metric } from '../metric.ts'

const m = train.metrics
type Batch = readonly [predictions: Tensor, targets: Tensor, options?: { weights?: Tensor; mask?: Tensor }]
type AnyMetric = Metric<unknown, readonly never[]>

const n = 23
const classes = 5
/** Numbers that follow from their place, without order. */
const noise = (shape: readonly number[], salt: number): Tensor =>
  tensor(
    Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.abs(Math.sin(i * 12.9898 + salt * 78.233) * 43758.5453) % 1),
    { shape },
  )

/** Data and metrics of a task. */
const tasks: Record<string, { data: () => [Tensor, Tensor]; make: Record<string, () => AnyMetric> }> = {
  multiclass: {
    data: () => [noise([n, classes], 1).softmax(-1), noise([n], 2).mul(classes).floor().cast('int32')],
    make: {
      accuracy: () => new m.Accuracy({ classes }),
      balanced: () => new m.Accuracy({ classes, average: 'macro' }),
      top2: () => new m.Accuracy({ classes, topK: 2 }),
      precision: () => new m.Precision({ classes, average: 'none' }),
      recall: () => new m.Recall({ classes, average: 'weighted' }),
      f2: () => new m.FBeta({ classes, beta: 2 }),
      specificity: () => new m.Specificity({ classes }),
      iou: () => new m.IoU({ classes }),
      dice: () => new m.Dice({ classes }),
      confusion: () => new m.ConfusionMatrix({ classes }),
      matthews: () => new m.MatthewsCorrelation({ classes }),
      kappa: () => new m.CohenKappa({ classes, distance: 'quadratic' }),
      rocAuc: () => new m.RocAuc({ classes }),
      rocAucBinned: () => new m.RocAuc({ classes, thresholds: 30 }),
      prAuc: () => new m.PrAuc({ classes, average: 'micro' }),
      averagePrecision: () => new m.AveragePrecision({ classes, average: 'weighted' }),
      logLoss: () => new m.LogLoss({ classes }),
      brier: () => new m.BrierScore({ classes }),
      calibration: () => new m.CalibrationError({ classes }),
      perplexity: () => new m.Perplexity(),
    },
  },
  multilabel: {
    data: () => [noise([n, 3], 3), noise([n, 3], 4).gt(0.6).cast('int32')],
    make: Object.fromEntries(
      [
        m.Accuracy,
        m.Precision,
        m.FBeta,
        m.ConfusionMatrix,
        m.MatthewsCorrelation,
        m.RocAuc,
        m.LogLoss,
        m.BrierScore,
        m.CalibrationError,
      ].map((Kind) => [Kind.name, () => new Kind({ task: 'multilabel', classes: 3 })]),
    ),
  },
  binary: {
    data: () => [noise([n], 5), noise([n], 6).gt(0.4)],
    make: Object.fromEntries(
      [
        m.Accuracy,
        m.Precision,
        m.Recall,
        m.IoU,
        m.CohenKappa,
        m.RocAuc,
        m.AveragePrecision,
        m.LogLoss,
        m.BrierScore,
        m.CalibrationError,
      ].map((Kind) => [Kind.name, () => new Kind()]),
    ),
  },
  regression: {
    data: () => [noise([n, 2], 7).mul(10), noise([n, 2], 8).mul(10).add(1000)],
    make: {
      ...Object.fromEntries(
        [m.MeanAbsoluteError, m.MeanSquaredError, m.RootMeanSquaredError, m.MeanAbsolutePercentageError, m.CosineSimilarity].map((Kind) => [
          Kind.name,
          () => new Kind(),
        ]),
      ),
      r2: () => new m.R2Score({ outputs: 2, average: 'variance' }),
      explained: () => new m.ExplainedVariance({ outputs: 2, average: 'none' }),
      pearson: () => new m.PearsonCorrelation(),
      spearman: () => new m.SpearmanCorrelation(),
    },
  },
}
const all = Object.entries(tasks).flatMap(([task, { data, make }]) =>
  Object.entries(make).map(([name, maker]) => [`${name} (${task})`, data, maker] as const),
)

const take = (metric: AnyMetric, ...batch: Batch) => (metric.update as (...args: Batch) => void).call(metric, ...batch)
/** The value with 10 digits: sums over other batches differ in the last ones. (Losses of float32 logits are float32.) */
const valueOf = async (metric: AnyMetric) =>
  JSON.parse(
    JSON.stringify(await metric.compute(), (_, v) =>
      typeof v !== 'number' ? v : Number.isFinite(v) ? Number(v.toPrecision(metric instanceof m.Perplexity ? 6 : 10)) : String(v),
    ),
  )

// The golden values are checked on every engine.
describe('metrics', () => {
  test.each(all)('%s: the same however samples are split into batches, merged, saved or reset', async (_, data, make) => {
    const [predictions, targets] = data()
    const whole = make()
    take(whole, predictions, targets)
    const expected = await valueOf(whole)
    expect(JSON.stringify(expected)).not.toContain('null')
    const rows = (x: Tensor, from: number, to: number) => x.narrow(0, from, to - from)
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat(n), { maxLength: 6 }), fc.nat(6), async (cuts, join) => {
        const bounds = [0, ...cuts.toSorted((a, b) => a - b), n]
        const metrics = [make(), make()]
        // Empty batches are among them.
        bounds
          .slice(1)
          .forEach((end, i) => take(metrics[i < join ? 0 : 1]!, rows(predictions, bounds[i]!, end), rows(targets, bounds[i]!, end)))
        metrics[0]!.merge(metrics[1]!)
        expect(await valueOf(metrics[0]!)).toEqual(expected)
      }),
      { numRuns: 5 },
    )
    const other = make()
    take(other, predictions, targets)
    other.loadStateDict(whole.stateDict() as never)
    expect(await valueOf(other)).toEqual(expected)
    other.reset()
    take(other, predictions, targets)
    expect(await valueOf(other)).toEqual(expected)
    // What was saved does not change with what goes on.
    expect(await valueOf(whole)).toEqual(expected)
  })

  test.each(all)('%s: weights count like copies, masks like leaving out; compiled like eager', async (_, data, make) => {
    const [predictions, targets] = data()
    const times = tensor(Array.from({ length: n }, (_unused, i) => [1, 0, 3, 2][i % 4]!))
    const copied = [predictions, targets].map((x) => x.repeatInterleave(times.cast('int32'), 0)) as [Tensor, Tensor]
    const one = make()
    take(one, ...copied)
    const broken = predictions.newFull(predictions.shape, Number.NaN)
    const spoilt = times.eq(0).reshape([n, ...predictions.shape.slice(1).map(() => 1)])
    const hidden = spoilt.expand(predictions.shape)
    if (!(one instanceof m.SpearmanCorrelation)) {
      const two = make()
      take(two, predictions, targets, { weights: times })
      expect(await valueOf(two)).toEqual(await valueOf(one))
    }
    const masked = make()
    const kept = make()
    take(masked, where(hidden, broken, predictions), targets, { mask: times.ne(0) })
    const index = tensor(
      Array.from({ length: n }, (_unused, i) => i).filter((i) => i % 4 !== 1),
      { dtype: 'int32' },
    )
    take(kept, predictions.indexSelect(0, index), targets.indexSelect(0, index))
    expect(await valueOf(masked)).toEqual(await valueOf(kept))

    const inside = make()
    const step = compile((p: Tensor, t: Tensor) => {
      take(inside, p, t)
      return p.sum()
    })
    if (!inside.traceable) {
      expect(() => step(predictions, targets)).toThrow(/update the metric outside/)
      return
    }
    const outside = make()
    for (let i = 0; i < 2; i++) {
      step(predictions, targets)
      take(outside, predictions, targets)
    }
    expect(await valueOf(inside)).toEqual(await valueOf(outside))
  })

  test('a metric does not record gradients', async () => {
    const x = uniform([4]).setRequiresGrad()
    const metric = new m.MeanSquaredError()
    metric.update(x.mul(2), zeros([4]))
    expect((metric.stateDict() as { sum: Tensor }).sum.requiresGrad).toBe(false)
    noGrad(() => metric.update(x, zeros([4])))
  })

  test('sums are exact where floats would be stuck', async () => {
    const metric = new m.Accuracy({ classes: 2 })
    metric.loadStateDict({
      right: tensor([2 ** 26, 0], { dtype: 'float64' }),
      total: tensor([2 ** 26, 0], { dtype: 'float64' }),
      support: tensor([2 ** 26, 0], { dtype: 'float64' }),
    })
    metric.update(tensor([1], { dtype: 'int32' }), tensor([0], { dtype: 'int32' }))
    expect(await metric.compute()).toBe(2 ** 26 / (2 ** 26 + 1))
  })

  test('variances far from zero keep their digits', async () => {
    const metric = new m.R2Score()
    for (let i = 0; i < 50; i++) {
      const t = tensor([1e9 + i, 1e9 + i + 0.5], { dtype: 'float64' })
      metric.update(t.add(0.25), t)
    }
    expect(await metric.compute()).toBeCloseTo(
      1 - 0.0625 / (Array.from({ length: 100 }, (_, i) => (i / 2 - 24.75) ** 2).reduce((a, b) => a + b) / 100),
      8,
    )
  })

  test('what has no samples is NaN; what lacks a class, or does not vary, is as documented', async () => {
    const nan = Number.NaN
    for (const [, , make] of all) {
      const value = JSON.stringify(await valueOf(make()))
      expect(value.includes('NaN') || /^\[\[(\[?0[,\]]*)+/.test(value), value).toBe(true)
    }
    const of = async (metric: AnyMetric, ...[p, t]: (readonly number[])[]) => {
      const [predictions, targets] = [tensor(p!), tensor(t!)]
      const asInts =
        metric instanceof m.MeanSquaredError ||
        metric instanceof m.R2Score ||
        metric instanceof m.PearsonCorrelation ||
        metric instanceof m.SpearmanCorrelation
      take(metric, predictions, asInts ? targets : targets.cast('int32'))
      return metric.compute()
    }
    // A single class.
    expect(await of(new m.RocAuc(), [0.1, 0.9], [1, 1])).toBeNaN()
    expect(await of(new m.AveragePrecision(), [0.1, 0.9], [1, 1])).toBe(1)
    expect(await of(new m.AveragePrecision(), [0.1, 0.9], [0, 0])).toBeNaN()
    expect(await of(new m.PrAuc({ thresholds: 10 }), [0.1, 0.9], [0, 0])).toBeNaN()
    expect(await of(new m.Precision(), [0.1, 0.2], [1, 1])).toBe(0)
    expect(await of(new m.Precision({ zeroDivision: 1 }), [0.1, 0.2], [1, 1])).toBe(1)
    expect(await of(new m.MatthewsCorrelation(), [0.1, 0.2], [1, 1])).toBe(0)
    expect(await of(new m.CohenKappa(), [0.9, 0.8], [1, 1])).toBeNaN()
    // Ties: nothing is told apart.
    expect(await of(new m.RocAuc(), [0.5, 0.5, 0.5], [1, 0, 1])).toBe(0.5)
    expect(await of(new m.AveragePrecision(), [0.5, 0.5, 0.5, 0.5], [1, 0, 0, 0])).toBe(0.25)
    // Nothing varies; only one sample.
    expect(await of(new m.R2Score(), [3], [3])).toBe(1)
    expect(await of(new m.R2Score(), [3, 3], [2, 2])).toBe(0)
    expect(await of(new m.PearsonCorrelation(), [0.1, 0.1, 0.1], [1, 2, 3])).toBeNaN()
    expect(await of(new m.SpearmanCorrelation(), [1, 1], [1, 2])).toBeNaN()
    // NaN and what is no class.
    expect(await of(new m.Accuracy(), [nan, 1], [1, 1])).toBeNaN()
    expect(await of(new m.RocAuc(), [nan, 0.3, 0.2], [1, 1, 0])).toBeNaN()
    expect(await of(new m.SpearmanCorrelation(), [nan, 1], [1, 2])).toBeNaN()
    expect(await of(new m.MeanSquaredError(), [nan, 1], [1, 2])).toBeNaN()
    expect(await of(new m.Accuracy(), [1, 1], [1, 2])).toBeNaN()
    expect(await of(new m.Accuracy({ classes: 3 }), [1, 1], [1, 3])).toBeNaN()
    expect(await of(new m.Accuracy({ classes: 3 }), [1, 1], [1, -1])).toBeNaN()
    expect(await of(new m.Accuracy({ classes: 3, ignoreIndex: -1 }), [1, 1], [1, -1])).toBe(1)
    // Classes that do not occur are left out.
    expect(await of(new m.Accuracy({ classes: 3, average: 'none' }), [0, 1, 1], [0, 0, 1])).toEqual([0.5, 1, nan])
    expect(await of(new m.Accuracy({ classes: 3, average: 'macro' }), [0, 1, 1], [0, 0, 1])).toBe(0.75)
  })

  test('inputs of every kind that means the same', async () => {
    const [scores, indices] = tasks.multiclass!.data()
    const compare = async (make: () => AnyMetric, one: Batch, two: Batch) => {
      const [a, b] = [make(), make()]
      take(a, ...one)
      take(b, ...two)
      expect(await valueOf(a)).toEqual(await valueOf(b))
    }
    const accuracy = () => new m.Accuracy({ classes })
    await compare(accuracy, [scores, indices], [scores.argmax(-1), indices])
    await compare(accuracy, [scores, indices], [scores, indices.oneHot(classes)])
    await compare(accuracy, [scores, indices], [scores.cast('float16').cast('float64'), indices.cast('int64')])
    await compare(() => new m.Precision({ classes }), [scores, indices], [scores.reshape([1, n, classes]), indices.reshape([1, n])])
    const [chances, yes] = tasks.binary!.data()
    await compare(() => new m.RocAuc(), [chances, yes], [chances.unsqueeze(-1), yes.cast('float32')])
    await compare(() => new m.Accuracy(), [chances.gt(0.5), yes], [chances, yes.cast('uint8')])
    await compare(() => new m.LogLoss(), [chances, yes], [chances.cast('float64'), yes])
    const logits = chances.cast('float64').div(chances.cast('float64').neg().add(1)).log()
    const fromLogits = new m.LogLoss({ fromLogits: true })
    const plain = new m.LogLoss()
    take(fromLogits, logits, yes)
    take(plain, chances, yes)
    expect(await valueOf(fromLogits)).toEqual(await valueOf(plain))
    const mean = new m.Mean()
    mean.update(2, { weights: tensor(3) })
    mean.update(tensor([6, 10]))
    expect(await mean.compute()).toBe((2 * 3 + 16) / 5)
  })

  test('what does not fit is refused with what to do', async () => {
    const [scores, indices] = tasks.multiclass!.data()
    const batch =
      (p: Tensor, t: Tensor, options = {}) =>
      () =>
        new m.Accuracy({ classes }).update(p, t, options)
    expect(batch(scores.narrow(1, 0, 3), indices)).toThrow(/scores of 5 classes[^]*Check \{ classes \}/)
    expect(batch(scores, indices.narrow(0, 0, 4))).toThrow(/scores of 5 classes/)
    expect(batch(scores, indices.cast('float32'))).toThrow(/targets must be class indices[^]*cast\('int32'\)/)
    expect(batch(scores, indices, { weights: zeros([3]) })).toThrow(/the weights do not go with the targets/)
    expect(batch(scores, indices, { mask: zeros([n, 1]) })).toThrow(/the mask do not go/)
    expect(() => new m.MeanSquaredError().update(zeros([3]), zeros([3, 1]))).toThrow(/differ in shape \(shapes \[3\], \[3, 1\]\)/)
    expect(() => new m.R2Score({ outputs: 3 }).update(zeros([3, 2]), zeros([3, 2]))).toThrow(/3 outputs/)
    expect(() => new m.Accuracy({ task: 'multilabel', classes: 4 }).update(zeros([3, 2]), zeros([3, 2]))).toThrow(/4 labels/)
    expect(() => new m.SpearmanCorrelation().update(zeros([3]), zeros([3]), { weights: zeros([3]) } as object)).toThrow(
      /ranks have no weights/,
    )
    expect(() => new m.Accuracy({ task: 'multiclass' })).toThrow(/needs the number of classes/)
    expect(() => new m.Accuracy({ task: 'binary', classes: 3 })).toThrow(/binary task has no 3 classes/)
    expect(() => new m.Accuracy({ classes: 3, topK: 4 })).toThrow(/topK is 4/)
    expect(() => new m.Accuracy({ classes: 3, subset: true })).toThrow(/all labels of a sample/)
    expect(() => new m.Accuracy({ threshold: 3 })).toThrow(/threshold is 3/)
    expect(() => new m.Accuracy({ task: 'other' as 'binary' })).toThrow(/no task other/)
    expect(() => new m.Accuracy({ classes: 1 })).toThrow(/more than 1 class.*leave \{ classes \} out/)
    expect(() => new m.Accuracy().update(scores, indices)).toThrow(/look like scores of 5 classes: make the metric with \{ classes: 5 \}/)
    for (const Metric of [m.Accuracy, m.Precision, m.RocAuc])
      expect(() => new Metric({ classes: 3, average: 'mean' as 'macro' })).toThrow(/no average mean. Use micro, macro, weighted, none/)
    expect(() => new m.ConfusionMatrix({ classes: 3, normalize: 'rows' as 'true' })).toThrow(/normalize is rows/)
    for (const metric of [new m.Accuracy({ classes }), new m.Precision(), new m.RocAuc(), new m.LogLoss({ classes }), new m.R2Score()]) {
      expect(() => metric.update([[1, 2]] as never, indices)).toThrow(/the predictions are an array, not a tensor. Make one of them/)
      expect(() => metric.update(scores, undefined as never)).toThrow(/the targets are missing/)
    }
    expect(() => new m.FBeta({ beta: -1 })).toThrow(/beta is -1/)
    expect(() => new m.RocAuc({ thresholds: 1 })).toThrow(/at least two, in ascending order/)
    expect(() => new m.RocAuc({ thresholds: [0.5, 0.5] })).toThrow(/ascending/)
    expect(() => new m.CalibrationError({ bins: 0 })).toThrow(/0 bins/)
    expect(() => new m.CohenKappa({ task: 'multilabel', classes: 2 })).toThrow(/no kappa/)
    const [three, four] = [new m.Precision({ classes: 3 }), new m.Precision({ classes: 4 })]
    expect(() => three.merge(four)).toThrow(/hits of another shape/)
    expect(() => three.loadStateDict({} as never)).toThrow(/has no hits/)
    expect(() => new m.RocAuc().merge(new m.RocAuc({ thresholds: 9 }))).toThrow(/one of the two has thresholds/)
    expect(() => new m.RocAuc().merge(new m.RocAuc({ classes: 4 }) as never)).toThrow(/6 numbers a sample instead of 3/)
  })

  test('tables and curves', async () => {
    const metric = new m.CalibrationError({ bins: 2 })
    metric.update(tensor([0, 0.5, 0.75, 1], { dtype: 'float64' }), tensor([0, 1, 1, 0], { dtype: 'int32' }))
    expect(await metric.table()).toEqual([
      { low: 0, high: 0.5, weight: 2, confidence: 0.25, accuracy: 0.5 },
      { low: 0.5, high: 1, weight: 2, confidence: 0.875, accuracy: 0.5 },
    ])
    const curve = { thresholds: [0.9, 0.4, 0.1], truePositives: [1, 2, 2], falsePositives: [0, 1, 2] }
    const roc = new m.RocAuc()
    const [p, t] = [tensor([0.4, 0.1, 0.9, 0.4], { dtype: 'float64' }), tensor([1, 0, 1, 0], { dtype: 'int32' })]
    roc.update(p, t)
    expect(await roc.curves()).toEqual([curve])
    const binned = new m.RocAuc({ thresholds: [0.1, 0.4, 0.9] })
    binned.update(p, t)
    expect((await binned.curves())[0]).toMatchObject({ thresholds: [...curve.thresholds, -Infinity], truePositives: [1, 2, 2, 2] })
  })
})
