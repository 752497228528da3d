/** Trains a small convolutional network on the MNIST digits: `npm run demo`, options with `npm run demo -- --help`. */
import { compile, crossEntropy, manualSeed, nn, noGrad, optim, relu, setEngine, setThreads, type Tensor, tensor } from 'cotangent'
import * as data from 'cotangent/data'
import { loadCheckpoint, loadMnist, saveCheckpoint } from 'cotangent/node'
import * as train from 'cotangent/train'
import { readDigit } from './digit-image.ts'
import { args, say } from './mnist-options.ts'

setEngine(args.engine)
if (args.threads) await setThreads(Number(args.threads))
manualSeed(Number(args.seed))

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
const optimizer = new optim.AdamW(model, { lr: 1e-3 })
const classify = (pixels: Tensor) => model.forward(pixels.cast('float32').div(255).reshape([-1, 28, 28, 1]))

if (args.predict) {
  await loadCheckpoint(args.checkpoint, { model })
  const picture = await readDigit(args.predict)
  const chances = noGrad(() => classify(tensor(picture)).softmax(-1))
  say(train.drawImage(picture, 28, 28))
  console.log(`this is a ${chances.argmax().item()} (${(100 * chances.max().item()).toFixed(1)}% sure)`)
  process.exit()
}
const mnist = await loadMnist()
const digits = ({ images, labels, count }: typeof mnist.train, n = count) => ({
  images: tensor(images.subarray(0, n * 784), { shape: [n, 784] }),
  labels: tensor(labels.subarray(0, n), { dtype: 'int32' }),
})
const training = digits(mnist.train, Math.min(Number(args.limit), 60_000))
const batches = data.Dataset.fromTensors(training)
  .shuffle({ seed: Number(args.seed) })
  .batch(128)
const steps = Number(args.epochs) * batches.length!
const scheduler = new optim.OneCycleLR(optimizer, { maxLr: 6e-3, totalSteps: steps + 1 })
const step = compile((images: Tensor, labels: Tensor) => {
  optimizer.zeroGrad()
  const logits = classify(images)
  const loss = crossEntropy(logits, labels)
  loss.backward()
  optimizer.step()
  scheduler.step()
  return { loss, right: logits.argmax(-1).eq(labels).sum() }
})
const parts = { model, optimizer, scheduler, batches }
if (args.resume) await loadCheckpoint(args.checkpoint, parts)
const stop = new AbortController()
process.once('SIGINT', () => stop.abort())
say(nn.summary(model, [1, 28, 28, 1]).toString())
const start = performance.now()
while (batches.epoch < Number(args.epochs) && !stop.signal.aborted) {
  const label = `epoch ${batches.epoch + 1}/${args.epochs}`
  using bar = train.progressBar({ total: training.labels.size, label, unit: 'images', ...(args.json && { writer: train.silent }) })
  let [seen, correct] = [0, 0]
  for await (const { images, labels } of batches) {
    const { loss, right } = step(images, labels)
    seen += labels.size
    correct += right.item()
    bar.update(seen, { loss: loss.item(), accuracy: correct / seen })
    if (stop.signal.aborted) break
  }
  await saveCheckpoint(args.checkpoint, parts)
}
if (stop.signal.aborted) {
  say(`\nsaved to ${args.checkpoint}; go on with: npm run demo -- --resume`)
  process.exit(130)
}
const seconds = ((performance.now() - start) / 1000).toFixed(1)

const { images, labels } = digits(mnist.test)
const predictions = noGrad(() => classify(images).argmax(-1))
const confusion = labels.oneHot(10).T.matmul(predictions.oneHot(10)).toArray() as number[][]
const accuracy = predictions.eq(labels).cast('float32').mean().item()
const digit = (i: number) => `${train.drawImage(mnist.test.images.subarray(i * 784, (i + 1) * 784), 28, 28)}\n  ${predictions.at(i).item()}`
say(`\n${train.confusionMatrixTable(confusion)}\n\n${train.sideBySide([0, 1, 2].map(digit))}`)
if (args.json) console.log(JSON.stringify({ accuracy, seconds: Number(seconds), engine: args.engine }))
else console.log(`test accuracy ${accuracy.toFixed(4)} in ${seconds} s on ${args.engine}`)
