/** MNIST by `fit`: `npx tsx --conditions=source examples/mnist-fit.ts`. Ctrl-C ends it; run again, it goes on where it was. */
import { crossEntropy, manualSeed, nn, optim, relu, type Tensor, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import { CheckpointDirectory, type DigitSet, loadMnist } from 'cotangent/node'
import * as train from 'cotangent/train'

const short = process.argv.includes('--short')
manualSeed(0)
const model = nn.sequential(
  new nn.Conv2d(1, 16, 3, { padding: 'same' }),
  relu,
  new nn.MaxPool2d(2),
  new nn.Conv2d(16, 32, 3, { padding: 'same' }),
  relu,
  new nn.MaxPool2d(2),
  new nn.Flatten(),
  new nn.Linear(7 * 7 * 32, 10),
)
const mnist = await loadMnist()
const digits = ({ images, labels, count }: DigitSet) =>
  data.Dataset.fromTensors({ images: tensor(images, { shape: [count, 784] }), labels: tensor(labels, { dtype: 'int32' }) })

const trainer = new train.Trainer(model, {
  forward: (pixels: Tensor) => model.forward(pixels.cast('float32').div(255).reshape([-1, 28, 28, 1])),
  loss: crossEntropy,
  metrics: [new train.metrics.Accuracy({ classes: 10 })],
  optimizer: new optim.AdamW(model, { lr: 1e-3 }),
  schedule: { step: (optimizer, totalSteps) => new optim.OneCycleLR(optimizer, { maxLr: 6e-3, totalSteps }) },
})
const store = new CheckpointDirectory('checkpoints/mnist-fit', { keepBest: 1, monitor: 'valAccuracy', mode: 'max' })
await trainer.fit(digits(mnist.train).shuffle().batch(128), {
  epochs: 3,
  validation: digits(mnist.test).batch(512),
  resume: store,
  callbacks: [new train.ModelCheckpoint(store), new train.EarlyStopping({ monitor: 'valAccuracy', patience: 3 })],
  ...(short && { fastDevRun: 20 }),
})
