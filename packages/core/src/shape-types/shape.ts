/**
 * Shapes as types: what every shape rule is made of.
 *
 * A shape rule is a type that gives the shape of an op's result, or a sentence that says why the shapes do not fit. One rule
 * serves both ends of a method: `Checked` turns a sentence into the parameter's type, so that the compiler prints it as its one
 * line, and `Result` gives the shape to the returned tensor.
 *
 *     matmul<A extends Shape, const B extends Shape>(
 *       this: Tensor<A>,
 *       other: Checked<MatMul<A, B>, Tensor<B>>,
 *     ): Tensor<Result<MatMul<A, B>>>
 *
 * In a tuple, `number` stands for a size that is not known and fits every size. `Shape` itself is an unknown rank: rules give
 * `Shape` for it, and never a sentence. `[...number[], 10]`, any rank with a known last size, flows through chains of layers.
 *
 * A method takes its own shape from `this`, not from the class's parameter: then `Tensor<S>` is covariant in `S`, so that
 * `Tensor<[32, 784]>` is a `Tensor<[number, 784]>` and a `Tensor`, and the compiler need not compare methods to see it.
 */
import type { Shape } from '../layout.ts'

export type { Shape }

/** The plain form of an inferred `readonly [32, 784]`, `[32, 784]`: the form that tensors carry. */
export type Mutable<S extends Shape> = number extends S['length'] ? Shape : { -readonly [K in keyof S]: S[K] }

/** The shape that a rule gave. Where it gave a sentence, the argument is already marked, so the result is any shape. */
export type Result<R> = R extends Shape ? R : Shape

/** A parameter of type `P`, or, where the rule gave a sentence, that sentence: the compiler then prints it. */
export type Checked<R, P> = R extends string ? R : P

/** Whether the rank is unknown: `Shape`, `[...number[], 10]`. */
export type UnknownRank<S extends Shape> = number extends S['length'] ? true : false

/** The keys of a tuple's axes: `'0' | '1'`. */
export type AxisKeys<S extends Shape> = Exclude<keyof S, keyof number[]> & string

/**
 * The key of axis `A`, which may count from the end: `Axis<[5, 6, 7], -1>` is `'2'`. `never` where there is no such axis.
 */
export type Axis<S extends Shape, A> = A extends number
  ? `${A}` extends `-${infer N extends keyof FromEnd}`
    ? S extends readonly [...infer Before, ...FromEnd[N]]
      ? `${Before['length']}`
      : never
    : Extract<`${A}`, AxisKeys<S>>
  : never

interface FromEnd {
  '1': [number]
  '2': [number, number]
  '3': [number, number, number]
  '4': [number, number, number, number]
  '5': [number, number, number, number, number]
  '6': [number, number, number, number, number, number]
  '7': [number, number, number, number, number, number, number]
  '8': [number, number, number, number, number, number, number, number]
}

/** The first of the axes `A` that `S` lacks, or `never`. */
export type MissingAxis<S extends Shape, A> = A extends number ? ([Axis<S, A>] extends [never] ? A : never) : never

export type NoAxis<S extends Shape, A extends number> = `axis ${A} is out of range for shape ${Show<S>}`

/** The axes in front of axis `Key`. */
export type Before<S extends Shape, Key extends string, Out extends Shape = []> = `${Out['length']}` extends Key
  ? Out
  : S extends readonly [infer X extends number, ...infer Rest extends Shape]
    ? Before<Rest, Key, [...Out, X]>
    : Out

/** `S` without the axes `Keys`. */
export type Drop<S extends Shape, Keys extends string, Seen extends Shape = [], Out extends Shape = []> = S extends readonly [
  infer X extends number,
  ...infer Rest extends Shape,
]
  ? Drop<Rest, Keys, [...Seen, X], `${Seen['length']}` extends Keys ? Out : [...Out, X]>
  : Out

/** The size that two axes share, where the wildcard fits each size. `never` where they differ. */
export type SameSize<X extends number, Y extends number> = number extends X ? Y : number extends Y ? X : X extends Y ? X : never

/** The shape that two shapes share. `null` where they differ. */
export type SameShape<A extends Shape, B extends Shape> =
  UnknownRank<A> extends true ? B : UnknownRank<B> extends true ? A : SameSizes<A, B>

type SameSizes<A extends Shape, B extends Shape, Out extends Shape = []> = [A, B] extends [
  readonly [infer X extends number, ...infer RestA extends Shape],
  readonly [infer Y extends number, ...infer RestB extends Shape],
]
  ? [SameSize<X, Y>] extends [never]
    ? null
    : SameSizes<RestA, RestB, [...Out, SameSize<X, Y>]>
  : [A, B] extends [readonly [], readonly []]
    ? Out
    : null

/** A shape as messages write it: `[32, 784]`, `[number, 10]`, `[...number[], 10]`. */
export type Show<S extends Shape, Text extends string = ''> = S extends readonly [infer X extends number, ...infer Rest extends Shape]
  ? Show<Rest, Text extends '' ? ShowSize<X> : `${Text}, ${ShowSize<X>}`>
  : S extends readonly []
    ? `[${Text}]`
    : S extends readonly [...Shape, infer Last extends number]
      ? `[...number[], ${ShowSize<Last>}]`
      : 'of unknown rank'

export type ShowSize<N extends number> = number extends N ? 'number' : `${N}`
