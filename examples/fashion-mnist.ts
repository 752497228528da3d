/**
 * Clothes told apart (Fashion-MNIST, https://arxiv.org/abs/1708.07747), with augmentation:
 * `npx tsx --conditions=source examples/fashion-mnist.ts [--data FOLDER] [--epochs N] [--short]`.
 *
 * The four idx files are in Debian's package `dataset-fashion-mnist`, or in any folder, compressed or not.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { crossEntropy, manualSeed, nn, optim, relu, type Tensor } from 'cotangent'
import * as data from 'cotangent/data'
import { fileBytes } from 'cotangent/node'
import * as train from 'cotangent/train'
import * as vision from 'cotangent/vision'

const { values: args } = parseArgs({
  options: {
    data: { type: 'string', default: '/usr/share/datasets/fashion-mnist' },
    epochs: { type: 'string', default: '6' },
    short: { type: 'boolean', default: false },
  },
})
const kinds = ['T-shirt', 'trousers', 'pullover', 'dress', 'coat', 'sandal', 'shirt', 'sneaker', 'bag', 'boot']

async function load(part: 'train' | 't10k') {
  const read = (name: string) => {
    const plain = join(args.data, `${part}-${name}-ubyte`)
    if (existsSync(plain)) return data.readIdx(fileBytes(plain))
    if (existsSync(`${plain}.gz`)) return data.readIdx(data.gunzip(fileBytes(`${plain}.gz`)))
    throw new Error(`there is no ${plain}: run \`apt install dataset-fashion-mnist\`, or say --data FOLDER`)
  }
  const [images, labels] = [await read('images-idx3'), await read('labels-idx1')]
  return data.Dataset.fromTensors({ images: images.unsqueeze(-1), labels: labels.cast('int32') })
}

manualSeed(1)
const block = (inputs: number, outputs: number) =>
  nn.sequential(new nn.Conv2d(inputs, outputs, 3, { padding: 'same', bias: false }), new nn.BatchNorm2d(outputs), relu)
const model = nn.sequential(
  block(1, 32),
  block(32, 32),
  new nn.MaxPool2d(2),
  block(32, 64),
  block(64, 64),
  new nn.MaxPool2d(2),
  new nn.Flatten(),
  new nn.Dropout(0.3),
  new nn.Linear(7 * 7 * 64, 10),
)
const augment = vision.compose(vision.randomCrop(28, { padding: 2 }), vision.randomHorizontalFlip())
const confusion = new train.metrics.ConfusionMatrix({ classes: 10 })
const trainer = new train.Trainer(model, {
  forward: (images: Tensor) =>
    model.forward(vision.normalize(model.training ? augment(images) : images, { mean: 0.286, std: 0.353 }) as never),
  loss: crossEntropy,
  metrics: { accuracy: new train.metrics.Accuracy({ classes: 10 }), confusion },
  optimizer: new optim.AdamW(model, { lr: 1e-3, weightDecay: 1e-2 }),
  schedule: { step: (optimizer, totalSteps) => new optim.OneCycleLR(optimizer, { maxLr: 6e-3, totalSteps }) },
})
const test = (await load('t10k')).batch(500)
await trainer.fit((await load('train')).shuffle().batch(128, { dropLast: true }), {
  epochs: Number(args.epochs),
  ...(args.short && { fastDevRun: 20 }),
})
const { accuracy } = await trainer.evaluate(test, { ...(args.short && { limitBatches: 2 }) })
console.log(`\n${train.confusionMatrixTable((await confusion.compute()) as number[][], kinds)}\n\ntest accuracy ${accuracy!.toFixed(4)}`)
