/** Type tests of products, windows and losses: compiling this file is the test. */
import {
  adaptiveAvgPool2d,
  conv2d,
  convTranspose2d,
  cosineEmbeddingLoss,
  crossEntropy,
  type CrossEntropyOptions,
  ctcLoss,
  einsum,
  gaussianNllLoss,
  linear,
  matmul,
  maxPool2d,
  mseLoss,
  nllLoss,
  type Tensor,
  tripletMarginLoss,
  zeros,
  conv1d,
  avgPool1d,
  avgPool2d,
  adaptiveMaxPool2d,
} from '../index.ts'
import type { Shape } from '../layout.ts'
import type { Compared, ConvWith, Einsum, LinearWith, MatMul, PoolOut } from '../shape-types.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function expect<T>(value: T): <Want>(..._: Equal<T, Want> extends true ? [] : [wrong: T]) => void
/** The sentence that the compiler prints in place of the parameter's type. */
declare function says<Rule extends string>(sentence: Rule): void
type N = number

const x = zeros([32, 784])
const images = zeros([8, 28, 28, 3])
const labels = zeros([32], { dtype: 'int32' })
declare const plain: Tensor
declare const batch: Tensor<[N, 784]>

expect(x.matmul(zeros([784, 10])))<Tensor<[32, 10]>>()
expect(matmul(batch, zeros([784, 10])))<Tensor<[N, 10]>>()
expect(x.matmul(plain))<Tensor>()
expect(plain.matmul(x))<Tensor>()
// @ts-expect-error
x.matmul(zeros([700, 10]))
// @ts-expect-error
matmul(x, zeros([700, 10]))
says<MatMul<[32, 784], [700, 10]>>('matmul of [32, 784] and [700, 10]: inner sizes 784 and 700 differ')

expect(linear(x, zeros([784, 10]), zeros([10])))<Tensor<[32, 10]>>()
expect(x.linear(zeros([784, 10])))<Tensor<[32, 10]>>()
expect(linear(plain, zeros([784, 10])))<Tensor<[...N[], 10]>>()
// @ts-expect-error
x.linear(zeros([10, 784]))
says<LinearWith<[32, 784], [10, 784]>>('Linear takes a last size of 10, not 784 (shape [32, 784])')
says<LinearWith<[32, 784], [784]>>('linear takes a weight [in, out], not [784]')

expect(conv2d(images, zeros([3, 3, 3, 16])))<Tensor<[8, N, N, 16]>>()
expect(conv2d(images, zeros([3, 3, 1, 6]), { groups: 3 }))<Tensor<[8, N, N, 6]>>()
expect(convTranspose2d(images, zeros([2, 2, 5, 3]), { stride: 2 }))<Tensor<[8, N, N, N]>>()
expect(conv1d(plain, plain))<Tensor<[N, N, N]>>()
// @ts-expect-error
conv1d(images, zeros([3, 3, 16]))
// @ts-expect-error
conv2d(images, zeros([3, 3, 16]))
says<ConvWith<[8, 784], [3, 3, 1, 16], 2>>('a 2d convolution takes [number, number, number, number], not [8, 784]')
says<ConvWith<[8, 28, 28, 1], [3, 3, 16], 2>>('a 2d convolution takes a weight [number, number, number, number], not [3, 3, 16]')
says<ConvWith<[8, 7, 7, 4], [2, 2, 8, 3], 2, true>>('the convolution takes 3 channels, not 4 (last axis of [8, 7, 7, 4])')

expect(maxPool2d(images, 2))<Tensor<[8, N, N, 3]>>()
const [largest, positions] = maxPool2d(images, 2, { returnIndices: true })
expect(largest)<Tensor<[8, N, N, 3]>>()
expect(positions)<Tensor<[8, N, N, 3]>>()
expect(avgPool2d(images, [2, 3], { padding: 1 }))<Tensor<[8, N, N, 3]>>()
expect(adaptiveAvgPool2d(images, 1))<Tensor<[8, 1, 1, 3]>>()
expect(adaptiveMaxPool2d(images, [4, 5]))<Tensor<[8, 4, 5, 3]>>()
expect(avgPool1d(plain, 2))<Tensor<[N, N, N]>>()
// @ts-expect-error
maxPool2d(x, 2)
says<PoolOut<[32, 784]>>('2d pooling takes [number, number, number, number], not [32, 784]')

expect(mseLoss(x, x))<Tensor<[]>>()
expect(mseLoss(x, plain, { reduction: 'sum' }))<Tensor<[]>>()
expect(mseLoss(batch, x, { reduction: 'none' }))<Tensor<[32, 784]>>()
expect(crossEntropy(x, labels, { labelSmoothing: 0.1 }))<Tensor<[]>>()
expect(nllLoss(x, labels, { reduction: 'none' }))<Tensor<[32]>>()
declare const options: CrossEntropyOptions
expect(crossEntropy(x, labels, options))<Tensor<Shape>>()
// @ts-expect-error
mseLoss(x, zeros([32]))
// @ts-expect-error: misspelt options are found
mseLoss(x, x, { reduce: 'sum' })
says<Compared<[32, 1], [32]>>('input [32, 1] and target [32] must have the same shape')

expect(einsum('ij,jk->ik', x, zeros([784, 10])))<Tensor<[32, 10]>>()
expect(einsum('bij, bkj -> bik', zeros([2, 3, 4]), zeros([2, 5, 4])))<Tensor<[2, 3, 5]>>()
expect(einsum('ij->', x))<Tensor<[]>>()
expect(einsum('ii->i', zeros([3, 3])))<Tensor<[3]>>()
expect(einsum('ij,jk->ik', batch, zeros([784, 10])))<Tensor<[N, 10]>>()
expect(einsum('...ij->...ji', x))<Tensor<Shape>>()
expect(einsum('ij,jk', x, zeros([784, 10])))<Tensor<Shape>>()
expect(einsum('ij,jk->ik', plain, x))<Tensor<Shape>>()
expect(einsum('ij->ji' as string, x))<Tensor<Shape>>()
// @ts-expect-error label 'j' stands for sizes 784 and 700
einsum('ij,jk->ik', x, zeros([700, 10]))
// @ts-expect-error a term has more labels than shape [32, 784] has axes
einsum('ijk->i', x)
// @ts-expect-error label 'z' of the result comes from no term
einsum('ij->iz', x)
// @ts-expect-error there are more terms than tensors
einsum('ij,jk->ik', x)
says<Einsum<'ij,jk->ik', [[32, 784], [700, 10]]>>("label 'j' stands for sizes 784 and 700")

expect(tripletMarginLoss(x, x, x))<Tensor<[]>>()
expect(tripletMarginLoss(x, x, x, { reduction: 'none' }))<Tensor<[32]>>()
expect(cosineEmbeddingLoss(x, x, zeros([32]), { reduction: 'none' }))<Tensor<[32]>>()
expect(gaussianNllLoss(x, x, x, { reduction: 'none' }))<Tensor<[32, 784]>>()
expect(ctcLoss(zeros([2, 5, 4]), zeros([2, 2])))<Tensor<[]>>()
// @ts-expect-error
gaussianNllLoss(x, zeros([32, 10]), x)
