import type { Case, Work } from '../case.ts'

const step = (name: string, unit: Case['unit'], work: Work): Case => ({ suite: 'train', name, unit, work })
const sgd = { optimiser: 'sgd', learningRate: 0.01 } as const
const adam = { optimiser: 'adam', learningRate: 1e-3 } as const

export const train: Case[] = [
  step('mlp', 'ms', { kind: 'mlp', sizes: [784, 512, 256, 10], batch: 128, loss: 'cross-entropy', ...adam }),
  step('tiny-mlp', 'us', { kind: 'mlp', sizes: [8, 32, 32, 1], batch: 16, loss: 'mse', optimiser: 'sgd', learningRate: 0.01 }),
  step('cnn', 'ms', { kind: 'cnn', batch: 64, size: 28, channels: [1, 32, 64], classes: 10, ...adam }),
  step('lstm', 'ms', { kind: 'recurrent', cell: 'lstm', batch: 32, length: 64, inputs: 128, hidden: 128, layers: 1, ...adam }),
  step('lstm-2x256', 'ms', { kind: 'recurrent', cell: 'lstm', batch: 16, length: 64, inputs: 256, hidden: 256, layers: 2, ...adam }),
  step('gru', 'ms', { kind: 'recurrent', cell: 'gru', batch: 32, length: 64, inputs: 256, hidden: 256, layers: 1, ...adam }),
  step('transformer', 'ms', { kind: 'transformer', batch: 8, length: 128, width: 256, heads: 4, hidden: 1024, ...adam }),
  step('resnet50-b16', 'ms', { kind: 'model-training', model: 'resnet50', batch: 16, size: 224, ...sgd }),
  step('mobilenet-v2-b16', 'ms', { kind: 'model-training', model: 'mobilenet-v2', batch: 16, size: 224, ...sgd }),
  step('bert-base-b8-t128', 'ms', { kind: 'model-training', model: 'bert-base', batch: 8, size: 128, ...adam }),
]
