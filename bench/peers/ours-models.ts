import * as ct from 'cotangent'
import * as models from 'cotangent/models'
import type { ModelName, WorkOf } from '../case.ts'
import { labels, type PeerOptions, type Prepared, randomNormal } from '../peer.ts'

type Tensor = ct.Tensor
type Mode = PeerOptions['mode']

const pictureModels = { resnet50: () => models.resnet50(), 'mobilenet-v2': () => new models.MobileNetV2() } as const

const pictures = (batch: number, size: number): Tensor =>
  ct.tensor(randomNormal(batch * size * size * 3), { shape: [batch, size, size, 3] }) as Tensor

const texts = (batch: number, length: number): Tensor =>
  ct.tensor(
    labels(batch * length, 30_000).map((token) => token + 1),
    { shape: [batch, length] },
  ) as Tensor

const inputOf = (model: ModelName, batch: number, size: number): Tensor =>
  model === 'bert-base' ? texts(batch, size) : pictures(batch, size)

export function inference({ model: name, batch, size }: WorkOf<'inference'>, mode: Mode): Prepared {
  const x = inputOf(name, batch, size)
  let forward: (x: Tensor) => Tensor | models.BertOutput
  if (name === 'bert-base') {
    const model = new models.Bert().eval()
    forward = (tokens) => model.forward(tokens)
  } else {
    const model = pictureModels[name]().eval()
    forward = (images) => model.forward(images)
  }
  const run = mode === 'compiled' ? ct.compile(forward, { freeze: true }) : forward
  return { step: () => void ct.noGrad(() => run(x)) }
}

/** One token behind `position` others, always at the same place. */
export function nextToken({ batch, position, capacity }: WorkOf<'next-token'>, mode: Mode): Prepared {
  const model = new models.Gpt2().eval()
  const cache = model.newCache(batch, capacity)
  const next = (tokens: Tensor, at: Tensor, last: Tensor) => model.next(tokens, { cache, position: at, last })
  const run = mode === 'compiled' ? ct.compile(next) : next
  const tokens = ct.tensor(labels(batch, 50_000), { shape: [batch, 1] }) as Tensor
  const [at, last] = [position, 0].map((n) => ct.tensor(n, { dtype: 'int32' }) as Tensor) as [Tensor, Tensor]
  return { step: () => void ct.noGrad(() => run(tokens, at, last)) }
}

/** The parts of a training step: model, data and loss. */
export function trainingParts({ model: name, batch, size }: WorkOf<'model-training'>): {
  weights: Tensor[]
  data: [x: Tensor, target: Tensor]
  loss: (x: Tensor, target: Tensor) => Tensor
} {
  const classes = name === 'bert-base' ? 2 : 1000
  const model = name === 'bert-base' ? new models.BertForSequenceClassification(classes) : pictureModels[name]()
  const target = ct.tensor(labels(batch, classes)) as Tensor
  return {
    weights: model.parameters() as Tensor[],
    data: [inputOf(name, batch, size), target],
    loss: (x, y) => ct.crossEntropy(model.forward(x) as Tensor, y) as Tensor,
  }
}
