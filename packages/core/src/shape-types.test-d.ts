/**
 * Type tests of the shape rules: compiling this file is the test. The small classes show the signatures that tensors and layers
 * use: a checked one for callers, a plain one for the body.
 */
import type {
  Add,
  Apply,
  Broadcast,
  Chain,
  Checked,
  CheckedChain,
  Concat,
  ConvOut,
  DataShape,
  EmbeddingOut,
  Expand,
  Flatten,
  Gather,
  Index,
  InputOf,
  LinearOut,
  MatMul,
  Mutable,
  OneHot,
  Permute,
  PoolOut,
  Product,
  Reduce,
  Reshape,
  Result,
  Shape,
  ShapeRule,
  ShapesOf,
  Squeeze,
  Stack,
  Take,
  Transpose,
  Unsqueeze,
} from './shape-types.ts'

type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Each pair holds a type and what it must be. */
type Cases<T extends readonly (readonly [unknown, unknown])[]> = { [K in keyof T]: Equal<T[K][0], T[K][1]> extends true ? T[K] : never }
declare function check<const T extends readonly (readonly [unknown, unknown])[]>(..._: T extends Cases<T> ? [] : [wrong: Cases<T>]): void

type N = number

// Rules

check<
  [
    [Broadcast<[2, 3], [2, 3]>, [2, 3]],
    [Broadcast<[2, 1], [3]>, [2, 3]],
    [Broadcast<[], [4, 5]>, [4, 5]],
    [Broadcast<[8, 1, 6, 1], [7, 1, 5]>, [8, 7, 6, 5]],
    [Broadcast<[N, 3], [2, 1]>, [2, 3]],
    [Broadcast<[N], [1]>, [N]],
    [Broadcast<[0], [1]>, [0]],
    [Broadcast<[2, 3], [4]>, 'shapes [2, 3] and [4] do not broadcast: 3 and 4 differ'],
    [Broadcast<[2, N, 3], [5, 1, 1]>, 'shapes [2, number, 3] and [5, 1, 1] do not broadcast: 2 and 5 differ'],
    [Broadcast<Shape, [3]>, Shape],
    [Broadcast<[3], [...N[], 3]>, Shape],
    [Expand<[3, 1], [3, 4]>, [3, 4]],
    [Expand<[3, 1], [2, -1, 4]>, [2, 3, 4]],
    [Expand<[], [N]>, [N]],
    [Expand<[3, 2], [3, 4]>, 'shape [3, 2] does not expand to [3, 4]'],
    [Expand<[3], [-1, 3]>, 'shape [3] does not expand to [-1, 3]'],
    [Expand<[2, 3], [3]>, 'shape [2, 3] does not expand to [3]'],
  ]
>()

check<
  [
    [MatMul<[32, 784], [784, 10]>, [32, 10]],
    [MatMul<[3], [3]>, []],
    [MatMul<[3], [3, 4]>, [4]],
    [MatMul<[2, 3], [3]>, [2]],
    [MatMul<[5, 1, 2, 3], [7, 3, 4]>, [5, 7, 2, 4]],
    [MatMul<[N, 784], [784, 10]>, [N, 10]],
    [MatMul<[N, N], [784, 10]>, [N, 10]],
    [MatMul<Shape, [784, 10]>, Shape],
    [MatMul<[2, 3], [4, 5]>, 'matmul of [2, 3] and [4, 5]: inner sizes 3 and 4 differ'],
    [MatMul<[3], [4]>, 'matmul of [3] and [4]: inner sizes 3 and 4 differ'],
    [MatMul<[2, 5, 3], [4, 3, 5]>, 'shapes [2] and [4] do not broadcast: 2 and 4 differ'],
    [MatMul<[], [3]>, 'matmul needs at least one axis: multiply by a scalar with mul'],
  ]
>()

check<
  [
    [Reduce<[2, 3, 4]>, []],
    [Reduce<[2, 3, 4], undefined, true>, [1, 1, 1]],
    [Reduce<[2, 3, 4], 1>, [2, 4]],
    [Reduce<[2, 3, 4], -1>, [2, 3]],
    [Reduce<[2, 3, 4], [0, -1]>, [3]],
    [Reduce<[2, 3, 4], [0, -1], true>, [1, 3, 1]],
    [Reduce<[2, 3, 4], readonly [1]>, [2, 4]],
    [Reduce<[2, 3, 4], []>, [2, 3, 4]],
    [Reduce<[2, 3, 4], N>, Shape],
    [Reduce<[2, 3, 4], 1, boolean>, Shape],
    [Reduce<Shape>, []],
    [Reduce<Shape, 1>, Shape],
    [Reduce<[2, 3], 2>, 'axis 2 is out of range for shape [2, 3]'],
    [Reduce<[2, 3], [0, -3]>, 'axis -3 is out of range for shape [2, 3]'],
  ]
>()

check<
  [
    [Transpose<[2, 3]>, [3, 2]],
    [Transpose<[N, 2, 3]>, [N, 3, 2]],
    [Transpose<[2, 3, 4], 0, -1>, [4, 3, 2]],
    [Transpose<[3]>, 'axis -2 is out of range for shape [3]'],
    [Permute<[2, 3, 4], [2, 0, 1]>, [4, 2, 3]],
    [Permute<[2, 3, 4], [0, -1, 1]>, [2, 4, 3]],
    [Permute<[2, 3], [N, N]>, [N, N]],
    [Permute<Shape, [1, 0]>, Shape],
    [Permute<[2, 3], [1, 1]>, 'permute of [2, 3] must name each axis once, not [1, 1]'],
    [Permute<[2, 3], [1]>, 'permute of [2, 3] must name each axis once, not [1]'],
    [Squeeze<[2, 1, 3, 1]>, [2, 3]],
    [Squeeze<[2, 1, 3, 1], -1>, [2, 1, 3]],
    [Squeeze<[N, 1]>, Shape],
    [Squeeze<[N, 3], 0>, [3]],
    [Squeeze<[2, 3], 1>, 'axis 1 of shape [2, 3] has size 3, not 1'],
    [Unsqueeze<[2, 3], 0>, [1, 2, 3]],
    [Unsqueeze<[2, 3], 2>, [2, 3, 1]],
    [Unsqueeze<[2, 3], -1>, [2, 3, 1]],
    [Unsqueeze<[], 0>, [1]],
    [Unsqueeze<[2, 3], 3>, 'axis 3 is out of range for shape [2, 3]'],
  ]
>()

check<
  [
    [Add<999, 1>, 1000],
    [Add<0, 0>, 0],
    [Add<N, 1>, N],
    [Product<[]>, 1],
    [Product<[28, 28]>, 784],
    [Product<[100, 20, 50]>, 100000],
    [Product<[1048576, 1048576]>, 1099511627776],
    [Product<[3, 0]>, 0],
    [Product<[3, N]>, N],
    [Reshape<[32, 784], [32, 28, 28]>, [32, 28, 28]],
    [Reshape<[12, 10], [8, 15]>, [8, 15]],
    [Reshape<[1048576, 1048576, 1024], [1024, 1073741824, 1024]>, [1024, 1073741824, 1024]],
    [Reshape<[], [1, 1]>, [1, 1]],
    [Reshape<[0, 3], [7, 0]>, [7, 0]],
    [Reshape<[32, 28, 28], [32, -1]>, [32, 784]],
    [Reshape<[32, 28, 28], [-1, 1]>, [25088, 1]],
    [Reshape<[12, 10], [8, -1]>, [8, N]],
    [Reshape<[5, 4], [N, -1]>, [N, N]],
    [Reshape<[0, 4], [4, -1]>, [4, N]],
    [Reshape<[N, 28, 28], [-1, 784]>, [N, 784]],
    [Reshape<Shape, [-1, 784]>, [N, 784]],
    [Reshape<[2, 3], Shape>, Shape],
    [Reshape<[2, 3], [2, 5]>, 'cannot reshape [2, 3] (6 elements) to [2, 5] (10)'],
    [Reshape<[0, 3], [3]>, 'cannot reshape [0, 3] (0 elements) to [3] (3)'],
    [Flatten<[2, 3, 4]>, [24]],
    [Flatten<[]>, [1]],
    [Flatten<[32, 7, 7, 64], 1>, [32, 3136]],
    [Flatten<[N, 7, 7, 64], 1>, [N, 3136]],
    [Flatten<[2, 3, 4, 5], 1, -2>, [2, 12, 5]],
    [Flatten<Shape, 1>, [N, N]],
    [Flatten<[2], 1>, 'axis 1 is out of range for shape [2]'],
  ]
>()

check<
  [
    [Concat<[[2, 3], [5, 3]]>, [7, 3]],
    [Concat<[[2, 3], [2, N], [2, 4]], -1>, [2, N]],
    [Concat<[[2, N], [5, 3]]>, [7, 3]],
    [Concat<[[2, 3], Shape]>, Shape],
    [Concat<Shape[]>, Shape],
    [Concat<[[2, 3], [5, 4]]>, 'cannot concat [2, 3] and [5, 4] on axis 0: another size differs'],
    [Concat<[[2, 3]], 2>, 'axis 2 is out of range for shape [2, 3]'],
    [Stack<[[2, 3], [2, 3], [N, 3]]>, [3, 2, 3]],
    [Stack<[[2, 3], [2, 3]], -1>, [2, 3, 2]],
    [Stack<Shape[]>, Shape],
    [Stack<[[2, 3], [3, 2]]>, 'cannot stack [2, 3] and [3, 2]: the shapes differ'],
    [Gather<[5, 6], [5, 2]>, [5, 2]],
    [Gather<[5, 6], [5]>, 'gather from [5, 6] needs an index of the same rank, not [5]'],
    [Take<[10, 6], [4, 5]>, [4, 5, 6]],
    [Take<[10, 6], [], 1>, [10]],
    [Take<[10], [2], 1>, 'axis 1 is out of range for shape [10]'],
    [OneHot<[32], 10>, [32, 10]],
    [Index<[2, 3, 4], [0]>, [3, 4]],
    [Index<[2, 3, 4], [N, N, N]>, []],
    [Index<[2, 3, 4], ['...', 0]>, [2, 3]],
    [Index<[2, 3, 4], [':', null, { start: 1 }]>, [2, 1, N, 4]],
    [Index<[2, 3, 4], [0, '...', null]>, [3, 4, 1]],
    [Index<[2, 3], [{ shape: [5] }]>, Shape],
    [Index<[2], [0, 0]>, 'too many indices for shape [2]'],
  ]
>()

check<
  [
    [LinearOut<[32, 784], 784, 10>, [32, 10]],
    [LinearOut<[N, 5, N], 784, 10>, [N, 5, 10]],
    [LinearOut<Shape, 784, 10>, [...N[], 10]],
    [LinearOut<[...N[], 784], 784, 10>, [...N[], 10]],
    [LinearOut<[32, 700], 784, 10>, 'Linear takes a last size of 784, not 700 (shape [32, 700])'],
    [LinearOut<[], 784, 10>, 'Linear takes a last size of 784, not a scalar'],
    [EmbeddingOut<[32, 128], 512>, [32, 128, 512]],
    [ConvOut<[32, 28, 28, 1], 1, 16>, [32, N, N, 16]],
    [ConvOut<[32, 28, 28, 1], N, N>, [32, N, N, N]],
    [ConvOut<Shape, 1, 16>, [N, N, N, 16]],
    [ConvOut<[8, 100, 4], 4, 6, 1>, [8, N, 6]],
    [ConvOut<[32, 28, 28, 3], 1, 16>, 'the convolution takes 1 channels, not 3 (last axis of [32, 28, 28, 3])'],
    [ConvOut<[32, 784], 1, 16>, 'a 2d convolution takes [number, number, number, 1], not [32, 784]'],
    [PoolOut<[32, 28, 28, 16]>, [32, N, N, 16]],
    [PoolOut<[32, 28, 28, 16], 2, [1, 1]>, [32, 1, 1, 16]],
  ]
>()

check<
  [
    [DataShape<3>, []],
    [DataShape<true>, []],
    [DataShape<readonly [readonly [1, 2, 3], readonly [4, 5, 6]]>, [2, 3]],
    [DataShape<N[][]>, [N, N]],
    [DataShape<readonly [readonly [1], readonly [2, 3]]>, [2, N]],
    [DataShape<[]>, [0]],
    [DataShape<Float32Array>, [N]],
  ]
>()

// A tensor

type Nested = number | readonly Nested[]

declare class Tensor<out S extends Shape = Shape> {
  readonly shape: S
  add<A extends Shape, const B extends Shape = []>(
    this: Tensor<A>,
    other: Checked<Broadcast<A, B>, Tensor<B> | number>,
  ): Tensor<Result<Broadcast<A, B>>>
  matmul<A extends Shape, const B extends Shape>(this: Tensor<A>, other: Checked<MatMul<A, B>, Tensor<B>>): Tensor<Result<MatMul<A, B>>>
  sum<A extends Shape, const Axes extends number | Shape | undefined = undefined, const Keep extends boolean = false>(
    this: Tensor<A>,
    axes?: Checked<Reduce<A, Axes, Keep>, Axes>,
    options?: { keepDims?: Keep },
  ): Tensor<Result<Reduce<A, Axes, Keep>>>
  reshape<A extends Shape, const T extends Shape>(this: Tensor<A>, shape: Checked<Reshape<A, T>, T>): Tensor<Result<Reshape<A, T>>>
  permute<A extends Shape, const P extends Shape>(this: Tensor<A>, axes: Checked<Permute<A, P>, P>): Tensor<Result<Permute<A, P>>>
  transpose<A extends Shape, const X extends number = -2, const Y extends number = -1>(
    this: Tensor<A>,
    a?: Checked<Transpose<A, X, Y>, X>,
    b?: Y,
  ): Tensor<Result<Transpose<A, X, Y>>>
  index<A extends Shape, const I extends readonly unknown[]>(
    this: Tensor<A>,
    ...items: Index<A, I> extends string ? [Index<A, I>] : I
  ): Tensor<Result<Index<A, I>>>
  squeeze<A extends Shape>(this: Tensor<A>): Tensor<Result<Squeeze<A>>>
  relu<A extends Shape>(this: Tensor<A>): Tensor<A>
}

declare function zeros<const S extends Shape>(shape: S): Tensor<Mutable<S>>
declare function tensor<const T extends Nested>(data: T): Tensor<DataShape<T>>
declare function concat<const T extends readonly Tensor[], const A extends number = 0>(
  tensors: Checked<Concat<ShapesOf<T>, A>, T>,
  axis?: A,
): Tensor<Result<Concat<ShapesOf<T>, A>>>
declare function relu<S extends Shape>(x: Tensor<S>): Tensor<S>
declare function expect<T>(value: T): <Want>(..._: Equal<T, Want> extends true ? [] : [wrong: T]) => void

declare const plain: Tensor
declare const batch: Tensor<[N, 784]>
declare const sizes: number[]
declare const data: number[][]
const x = zeros([32, 784])

expect(x)<Tensor<[32, 784]>>()
expect(zeros(x.shape))<Tensor<[32, 784]>>()
expect(zeros(sizes))<Tensor>()
expect(zeros([]))<Tensor<[]>>()
expect(
  tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]),
)<Tensor<[2, 3]>>()
expect(tensor(data))<Tensor<[N, N]>>()
expect(tensor(3))<Tensor<[]>>()

expect(x.add(1))<Tensor<[32, 784]>>()
expect(x.add(zeros([784])))<Tensor<[32, 784]>>()
expect(x.add(plain))<Tensor>()
expect(plain.add(x))<Tensor>()
expect(batch.add(zeros([784])))<Tensor<[N, 784]>>()
expect(x.matmul(zeros([784, 10])))<Tensor<[32, 10]>>()
expect(batch.matmul(zeros([784, 10])).relu())<Tensor<[N, 10]>>()
expect(x.sum())<Tensor<[]>>()
expect(x.sum(-1))<Tensor<[32]>>()
expect(x.sum([0, 1], { keepDims: true }))<Tensor<[1, 1]>>()
expect(x.sum(undefined, { keepDims: true }))<Tensor<[1, 1]>>()
expect(x.reshape([32, 28, 28]))<Tensor<[32, 28, 28]>>()
expect(x.reshape(sizes))<Tensor>()
expect(x.permute([1, 0]))<Tensor<[784, 32]>>()
expect(x.transpose())<Tensor<[784, 32]>>()
expect(x.index(0, { start: 1 }))<Tensor<[N]>>()
expect(zeros([2, 1]).squeeze())<Tensor<[2]>>()
expect(concat([x, zeros([1, 784])]))<Tensor<[33, 784]>>()
expect(concat([plain, x]))<Tensor>()

// @ts-expect-error shapes [32, 784] and [10] do not broadcast: 784 and 10 differ
x.add(zeros([10]))
// @ts-expect-error matmul of [32, 784] and [700, 10]: inner sizes 784 and 700 differ
x.matmul(zeros([700, 10]))
// @ts-expect-error axis 2 is out of range for shape [32, 784]
x.sum(2)
// @ts-expect-error cannot reshape [32, 784] (25088 elements) to [32, 29, 28] (25984)
x.reshape([32, 29, 28])
// @ts-expect-error permute of [32, 784] must name each axis once, not [1, 1]
x.permute([1, 1])
// @ts-expect-error axis 2 is out of range for shape [32, 784]
x.transpose(0, 2)
// @ts-expect-error too many indices for shape [32, 784]
x.index(0, 0, 0)
// @ts-expect-error cannot concat [32, 784] and [1, 700] on axis 0: another size differs
concat([x, zeros([1, 700])])

// Known sizes fit where fewer are asked for, not the other way round.
x satisfies Tensor
x satisfies Tensor<[N, 784]>
// @ts-expect-error [32, 784] is not [32, 10]
x satisfies Tensor<[32, 10]>
// @ts-expect-error `number` is not 32
batch satisfies Tensor<[32, 784]>

// Functions generic in the shape pass tensors on; where they compute with several, they do so as plain tensors.
function swish<S extends Shape>(input: Tensor<S>): Tensor<S> {
  const z: Tensor = relu(input.relu())
  return z.add(z) as Tensor<S>
}
expect(swish(x))<Tensor<[32, 784]>>()

// Layers

abstract class Module implements ShapeRule {
  declare readonly $in: unknown
  declare readonly $out: unknown

  abstract forward(input: Tensor): Tensor

  call<M extends Module, S extends Shape>(this: M, input: Checked<Apply<M, S>, Tensor<S>>): Tensor<Result<Apply<M, S>>>
  call(input: Tensor): Tensor {
    return this.forward(input)
  }
}

class Linear<const In extends number = number, const Out extends number = number> extends Module {
  declare readonly $out: LinearOut<InputOf<this>, In, Out>
  readonly weight: Tensor<[In, Out]>

  constructor(inSize: In, outSize: Out) {
    super()
    this.weight = zeros([inSize, outSize])
  }

  // `forward` itself may be checked too: then callers need no `call`.
  forward<S extends Shape>(input: Checked<LinearOut<S, In, Out>, Tensor<S>>): Tensor<Result<LinearOut<S, In, Out>>>
  forward(input: Tensor): Tensor {
    return input.matmul(this.weight as Tensor)
  }
}

declare class Conv2d<const In extends number, const Out extends number> extends Module {
  readonly $out: ConvOut<InputOf<this>, In, Out>
  constructor(inChannels: In, outChannels: Out, kernelSize: number)
  forward(input: Tensor): Tensor
}

declare class FlattenLayer extends Module {
  readonly $out: Flatten<InputOf<this>, 1>
  forward(input: Tensor): Tensor
}

/** A user's module without a rule. */
class Untyped extends Module {
  forward(input: Tensor): Tensor {
    return input
  }
}

type Layer = Module | { method(input: Tensor): Tensor }['method']

class Sequential<const L extends readonly Layer[] = readonly Layer[]> extends Module {
  declare readonly $out: Chain<L, InputOf<this>>
  readonly layers: readonly Layer[]

  constructor(...layers: CheckedChain<L>) {
    super()
    this.layers = layers as readonly unknown[] as readonly Layer[]
  }

  forward<M extends Module, S extends Shape>(this: M, input: Checked<Apply<M, S>, Tensor<S>>): Tensor<Result<Apply<M, S>>>
  forward(input: Tensor): Tensor {
    return this.layers.reduce((value, layer) => (layer instanceof Module ? layer.forward(value) : layer(value)), input)
  }
}

declare function sequential<const L extends readonly Layer[]>(...layers: CheckedChain<L>): Sequential<L>
declare function head(input: Tensor<[N, 256]>): Tensor<[N, 10]>
declare const layerList: Layer[]

const linear = new Linear(784, 10)
expect(linear)<Linear<784, 10>>()
expect(linear.forward(x))<Tensor<[32, 10]>>()
expect(linear.call(batch))<Tensor<[N, 10]>>()
linear satisfies Linear
linear satisfies Module
// @ts-expect-error Linear takes a last size of 784, not 700 (shape [32, 700])
linear.forward(zeros([32, 700]))
// @ts-expect-error Linear takes a last size of 784, not 700 (shape [32, 700])
linear.call(zeros([32, 700]))

const mlp = sequential(new Linear(784, 256), relu, new Linear(256, 10))
mlp satisfies Module
expect(mlp.forward(x))<Tensor<[32, 10]>>()
expect(mlp.call(x))<Tensor<[32, 10]>>()
expect(mlp.forward(plain))<Tensor<[...N[], 10]>>()
expect(sequential(new Linear<784, 256>(784, 256), head).forward(x))<Tensor<[N, 10]>>()
expect(sequential(mlp, (y) => y.relu(), new Linear(10, 3)).forward(x))<Tensor<[...N[], 3]>>()
expect(new Sequential(mlp, relu, new Linear(10, 3)).forward(x))<Tensor<[32, 3]>>()
expect(sequential(new Untyped(), new Linear(784, 10)).forward(x))<Tensor<[...N[], 10]>>()
expect(new Untyped().forward(x))<Tensor>()
expect(sequential(...layerList).forward(x))<Tensor>()
expect(sequential().forward(x))<Tensor<[32, 784]>>()

const cnn = sequential(new Conv2d(1, 16, 3), relu, new Conv2d(16, 32, 3), relu, new FlattenLayer(), new Linear(3136, 10))
expect(cnn.forward(zeros([8, 28, 28, 1])))<Tensor<[8, 10]>>()

// @ts-expect-error Linear takes a last size of 784, not 700 (shape [32, 700])
mlp.forward(zeros([32, 700]))
// @ts-expect-error the convolution takes 1 channels, not 3 (last axis of [8, 28, 28, 3])
cnn.forward(zeros([8, 28, 28, 3]))
sequential(
  new Linear(784, 256),
  relu,
  // @ts-expect-error Linear takes a last size of 128, not 256 (shape [...number[], 256])
  new Linear(128, 10),
)
sequential(
  new Conv2d(1, 16, 3),
  // @ts-expect-error this layer takes [number, 256], not [number, number, number, 16]
  head,
)
// @ts-expect-error the convolution takes 8 channels, not 16 (last axis of [number, number, number, 16])
new Sequential(new Conv2d(1, 16, 3), new Conv2d(8, 32, 3))
