/** Type tests of movement, indexing and creation: compiling this file is the test. */
import { arange, concat, embedding, eye, ones, oneHot, stack, type Tensor, tensor, zeros } from '../index.ts'
import type { Shape } from '../layout.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function expect<T>(value: T): <Want>(..._: Equal<T, Want> extends true ? [] : [wrong: T]) => void
type N = number

const x = zeros([32, 28, 28])
const labels = zeros([32], { dtype: 'int32' })
declare const plain: Tensor
declare const batch: Tensor<[N, 784]>

expect(x)<Tensor<[32, 28, 28]>>()
expect(
  tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]),
)<Tensor<[2, 3]>>()
expect(tensor(new Float32Array(6), { shape: [2, 3] }))<Tensor<[2, 3]>>()
expect(ones(plain.shape))<Tensor<Shape>>()
expect(eye(3))<Tensor<[3, 3]>>()
expect(arange(5))<Tensor<[N]>>()
expect(x.zerosLike())<Tensor<[32, 28, 28]>>()
expect(x.reshape([32, -1]))<Tensor<[32, 784]>>()
expect(x.flatten(1))<Tensor<[32, 784]>>()
expect(x.permute([2, 0, 1]))<Tensor<[28, 32, 28]>>()
expect(x.transpose())<Tensor<[32, 28, 28]>>()
expect(x.unsqueeze(-1))<Tensor<[32, 28, 28, 1]>>()
expect(x.unsqueeze(-1).squeeze(-1))<Tensor<[32, 28, 28]>>()
expect(zeros([3, 1]).expand([2, -1, 4]))<Tensor<[2, 3, 4]>>()
expect(x.at(0))<Tensor<[28, 28]>>()
expect(x.at('...', 0))<Tensor<[32, 28]>>()
expect(x.at(0, ':', null, '1:'))<Tensor<[28, 1, N]>>()
expect(x.at(labels))<Tensor<Shape>>()
expect(x.at([0, 1], [2, 3]))<Tensor<Shape>>()
expect(x.flip())<Tensor<[32, 28, 28]>>()
expect(x.slice())<Tensor<[32, 28, 28]>>()
expect(x.slice('1:', null, ':'))<Tensor<[N, 28, 28]>>()
expect(x.slice({ start: 1 }, [0, 4]))<Tensor<[N, N, 28]>>()
expect(plain.slice('1:'))<Tensor>()
expect(x.narrow(1, 3, 5))<Tensor<[32, 5, 28]>>()
expect(x.narrow(-1, 0, x.shape.length as number))<Tensor<[32, 28, N]>>()
expect(x.narrow(0 as number, 0, 1))<Tensor<Shape>>()
expect(x.select(-2, 0))<Tensor<[32, 28]>>()
expect(plain.select(0, 0))<Tensor>()
expect(x.view())<Tensor<[32, 28, 28]>>()
expect(concat([x, zeros([1, 28, 28])]))<Tensor<[33, 28, 28]>>()
expect(stack([x, x], -1))<Tensor<[32, 28, 28, 2]>>()
expect(concat([plain, x]))<Tensor<Shape>>()
expect(oneHot(labels, 10))<Tensor<[32, 10]>>()
expect(labels.oneHot(10))<Tensor<[32, 10]>>()
expect(embedding(zeros([1000, 64]), labels))<Tensor<[32, 64]>>()
expect(zeros([9, 4]).take(labels, 0))<Tensor<[32, 4]>>()
expect(x.sort().values)<Tensor<[32, 28, 28]>>()
expect(batch.reshape([-1, 28, 28]))<Tensor<[N, 28, 28]>>()
x satisfies Tensor
x satisfies Tensor<[N, 28, 28]>

// @ts-expect-error cannot reshape [32, 28, 28] (25088 elements) to [32, 10] (320)
x.reshape([32, 10])
// @ts-expect-error too many indices for shape [32, 28, 28]
x.at(0, 0, 0, 0)
// @ts-expect-error axis 3 is out of range for shape [32, 28, 28]
x.transpose(0, 3)
// @ts-expect-error axis 3 is out of range for shape [32, 28, 28]
x.narrow(3, 0, 1)
// @ts-expect-error axis -4 is out of range for shape [32, 28, 28]
x.select(-4, 0)
// @ts-expect-error 4 ranges for shape [32, 28, 28]
x.slice('1:', null, null, null)
// @ts-expect-error cannot concat [32, 28, 28] and [1, 27, 28] on axis 0: another size differs
concat([x, zeros([1, 27, 28])])
