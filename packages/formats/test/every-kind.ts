import type { EventFileWriter } from '@cotangent/formats/tensorboard'
import { compile, manualSeed, nn, optim, profile, tensor, type Tensor } from 'cotangent'

/** What `writeEveryKind` writes, for comparison with what a reader gives. */
export const written = {
  loss: [0.5, Number.NaN, -Infinity, 1e-30],
  histogram: [-3, -0.5, 0, 0, 0.25, 7, 1e25, Number.NaN],
  pixels: [0, 64, 128, 255, 1, 2],
  sound: [0, 0.5, -0.5, 1, -1, 2],
  labels: [1, 0, 1, 1, 0],
  predictions: [0.9, 0.6, 0.2, 0.5, 0],
  hparams: { lr: 0.1, optimizer: 'adam', bias: true },
  points: [1, 2.5, -3, 4e-10, 5, 6],
}

/** One of every kind of event. */
export async function writeEveryKind(writer: EventFileWriter): Promise<void> {
  manualSeed(1)
  written.loss.forEach((value, step) =>
    writer.scalar('train/loss', value, step, { description: 'the *loss*', displayName: 'Loss', wallTime: 100 + step }),
  )
  writer.histogram('weights', tensor(written.histogram), 2)
  writer.histogram('equal', written.histogram.slice(0, 6), 2, { bins: 5 })
  writer.histogram('empty', [], 2)
  writer.image('grey', tensor(written.pixels, { dtype: 'uint8' }).reshape([2, 3]), 1)
  writer.image('rgb', tensor([0, 0.5, 1, 2, -1, Number.NaN]).reshape([1, 2, 3]), 1, { layout: 'HWC' })
  writer.image('several', tensor(written.pixels, { dtype: 'uint8' }).reshape([3, 1, 1, 2]), 1)
  writer.audio('beep', tensor(written.sound), 4, { sampleRate: 8000 })
  writer.text('note', '# größe', 5)
  writer.text(
    'table',
    [
      ['a', 'b', 'c'],
      ['d', 'e', 'f'],
    ],
    5,
  )
  writer.prCurve('pr', written.labels, written.predictions, 6, { thresholds: 3 })
  writer.hparams(written.hparams, { 'train/loss': null, score: 0.75 }, { group: 'g' })
  const model = new nn.Sequential(new nn.Linear(2, 3), new nn.ReLU())
  const optimiser = new optim.SGD(model.parameters(), { lr: 0.1 })
  const step = compile((x: Tensor) => {
    optimiser.zeroGrad()
    const loss = model.forward(x).square().mean()
    loss.backward()
    optimiser.step()
    return loss
  })
  const x = tensor(written.points).reshape([3, 2])
  step(x)
  writer.graph(step, { names: model.namedParameters() })
  writer.profile('step', await profile(() => model.forward(x)), 7)
  writer.embedding('points', x, 0, { labels: ['a', 'b\tc', 'd'], images: tensor(written.pixels.map(Number)).reshape([3, 1, 1, 2]) })
}
