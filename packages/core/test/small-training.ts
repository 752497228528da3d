import { crossEntropy, manualSeed, nn, normal, optim, type Tensor } from 'cotangent'
import * as train from 'cotangent/train'

export const relu = (x: Tensor): Tensor => x.relu()

/** Points whose class a linear map says: a small net learns it in a few epochs. */
export function points(rows = 96): { x: Tensor; y: Tensor } {
  manualSeed(7)
  const x = normal([rows, 4]) as Tensor
  return { x, y: x.matmul(normal([4, 3]) as Tensor).argmax(-1) as Tensor }
}

export function batchesOf({ x, y }: { x: Tensor; y: Tensor }, size = 16): [Tensor, Tensor][] {
  const rows = x.shape[0]!
  return Array.from({ length: Math.ceil(rows / size) }, (_, i) => {
    const count = Math.min(size, rows - i * size)
    return [x.narrow(0, i * size, count), y.narrow(0, i * size, count)]
  })
}

export function smallModel(): nn.Module {
  manualSeed(3)
  return nn.sequential(new nn.Linear(4, 16), relu, new nn.Linear(16, 3)) as nn.Module
}

export const accuracy = (outputs: Tensor, targets: Tensor): Tensor => outputs.argmax(-1).eq(targets).cast('float32')

/** A trainer of the small model, whose display is quiet. */
export function smallTrainer(options: train.TrainerOptions = {}, model = smallModel()): train.Trainer {
  return new train.Trainer(model, {
    optimizer: new optim.AdamW(model, { lr: 1e-2 }),
    loss: crossEntropy,
    metrics: { accuracy },
    display: 'quiet',
    ...options,
  })
}
