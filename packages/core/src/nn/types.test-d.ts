/** Type tests of layers: compiling this file is the test. */
import { nn, normal, relu, type Tensor, zeros } from '../index.ts'
import type { Apply } from '../shape-types.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function expectType<T>(value: T): <Wanted>(..._: Equal<T, Wanted> extends true ? [] : [wrong: T]) => void
type N = number

const x = zeros([32, 784])
const images = zeros([8, 28, 28, 1])
declare const plain: Tensor

expectType(new nn.Linear(784, 10).forward(x))<Tensor<[32, 10]>>()
expectType(new nn.ReLU().forward(x))<Tensor<[32, 784]>>()
expectType(new nn.LayerNorm(784).forward(x))<Tensor<[32, 784]>>()
expectType(new nn.Dropout().forward(x))<Tensor<[32, 784]>>()
expectType(new nn.Conv2d(1, 16, 3).forward(images))<Tensor<[8, N, N, 16]>>()
expectType(new nn.MaxPool2d(2).forward(images))<Tensor<[8, N, N, 1]>>()
expectType(new nn.GlobalAvgPool().forward(images))<Tensor<[8, 1]>>()
expectType(new nn.Flatten().forward(images))<Tensor<[8, 784]>>()
expectType(new nn.Embedding(1000, 64).forward(zeros([32, 10], { dtype: 'int32' })))<Tensor<[32, 10, 64]>>()
expectType(new nn.Linear(784, 10).weight)<nn.Parameter<[784, 10]>>()

new nn.Linear(784, 10) satisfies nn.Linear
new nn.Linear(784, 10) satisfies nn.Module
new nn.Linear(784, 10).weight satisfies Tensor

// @ts-expect-error Linear takes a last size of 784, not 700 (shape [32, 700])
new nn.Linear(784, 10).forward(zeros([32, 700]))
// @ts-expect-error a 2d convolution takes [number, number, number, 1], not [32, 784]
new nn.Conv2d(1, 16, 3).forward(x)
// @ts-expect-error the convolution takes 3 channels, not 1 (last axis of [8, 28, 28, 1])
new nn.Conv2d(3, 16, 3).forward(images)

const mlp = new nn.Sequential(new nn.Linear(784, 256), relu, new nn.Dropout(0.1), new nn.Linear(256, 10))
expectType(mlp.forward(x))<Tensor<[32, 10]>>()
expectType(mlp.forward(plain))<Tensor<[...N[], 10]>>()

const cnn = nn.sequential(
  new nn.Conv2d(1, 16, 3, { padding: 1 }),
  new nn.BatchNorm2d(16),
  new nn.ReLU(),
  new nn.MaxPool2d(2),
  new nn.GlobalAvgPool(),
  new nn.Linear(16, 10),
  new nn.LogSoftmax(),
)
expectType(cnn.forward(images))<Tensor<[8, 10]>>()

nn.sequential(
  new nn.Linear(784, 256),
  relu,
  // @ts-expect-error Linear takes a last size of 128, not 256 (shape [...number[], 256])
  new nn.Linear(128, 10),
)
// @ts-expect-error the convolution takes 8 channels, not 16 (last axis of [number, number, number, 16])
new nn.Sequential(new nn.Conv2d(1, 16, 3), new nn.MaxPool2d(2), new nn.Conv2d(8, 32, 3))

/** Modules of one's own, with and without a shape rule, are layers. */
class Block extends nn.Module {
  readonly linear = new nn.Linear(16, 16)

  forward(input: Tensor): Tensor {
    return this.linear.forward(input).relu()
  }
}
expectType(new nn.Sequential(new Block(), new nn.Linear(16, 4)).forward(plain))<Tensor<[...N[], 4]>>()
expectType(new nn.CrossEntropyLoss({ labelSmoothing: 0.1 }).forward(plain, plain))<Tensor>()

/** What the README promises. */
const readme = nn.sequential(new nn.Linear(2, 16), relu, new nn.Linear(16, 1))
expectType(readme.forward(normal([64, 2])))<Tensor<[64, 1]>>()
expectType('Linear takes a last size of 2, not 4 (shape [3, 4])' as const)<Apply<typeof readme, [3, 4]>>()
// @ts-expect-error Linear takes a last size of 2, not 4 (shape [3, 4])
readme.forward(normal([3, 4]))
