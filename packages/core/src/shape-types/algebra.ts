/** Shape rules of elementwise ops, products and reductions. A rule gives the result's shape, or a sentence that says why not. */
import type { Axis, AxisKeys, Drop, MissingAxis, NoAxis, SameShape, SameSize, Shape, Show, ShowSize, UnknownRank } from './shape.ts'

/** NumPy's broadcasting. A wildcard takes the other size, except that with 1 it stays unknown. */
export type Broadcast<A extends Shape, B extends Shape> = true extends UnknownRank<A> | UnknownRank<B>
  ? Shape
  : BroadcastFromEnd<A, B, A, B, []>

type BroadcastFromEnd<
  A extends Shape,
  B extends Shape,
  WholeA extends Shape,
  WholeB extends Shape,
  Out extends Shape,
> = A extends readonly [...infer RestA extends Shape, infer X extends number]
  ? B extends readonly [...infer RestB extends Shape, infer Y extends number]
    ? [BroadcastSize<X, Y>] extends [never]
      ? `shapes ${Show<WholeA>} and ${Show<WholeB>} do not broadcast: ${X} and ${Y} differ`
      : BroadcastFromEnd<RestA, RestB, WholeA, WholeB, [BroadcastSize<X, Y>, ...Out]>
    : [...A, ...Out]
  : [...B, ...Out]

type BroadcastSize<X extends number, Y extends number> = X extends 1 ? Y : Y extends 1 ? X : SameSize<X, Y>

/** `S` broadcast to `T`, where -1 in `T` keeps the size. */
export type Expand<S extends Shape, T extends Shape> =
  UnknownRank<T> extends true
    ? Shape
    : UnknownRank<S> extends true
      ? { -readonly [K in keyof T]: T[K] extends -1 ? number : T[K] }
      : ExpandFromEnd<S, T, []> extends infer Out extends Shape
        ? Out
        : `shape ${Show<S>} does not expand to ${Show<T>}`

type ExpandFromEnd<S extends Shape, T extends Shape, Out extends Shape> = S extends readonly [
  ...infer RestS extends Shape,
  infer X extends number,
]
  ? T extends readonly [...infer RestT extends Shape, infer Y extends number]
    ? [ExpandSize<X, Y>] extends [never]
      ? null
      : ExpandFromEnd<RestS, RestT, [ExpandSize<X, Y>, ...Out]>
    : null
  : number extends T[number]
    ? [...T, ...Out]
    : -1 extends T[number]
      ? null
      : [...T, ...Out]

type ExpandSize<X extends number, Y extends number> = Y extends -1 ? X : X extends 1 ? Y : SameSize<X, Y>

/** The matrix product: vectors, matrices, and stacks of matrices whose leading axes broadcast. */
export type MatMul<A extends Shape, B extends Shape> = true extends UnknownRank<A> | UnknownRank<B>
  ? Shape
  : A extends readonly [...infer Left extends Shape, infer K extends number]
    ? B extends readonly [infer L extends number]
      ? Inner<A, B, K, L, Left>
      : B extends readonly [...infer BatchB extends Shape, infer L extends number, infer N extends number]
        ? Left extends readonly [...infer BatchA extends Shape, infer M extends number]
          ? Inner<A, B, K, L, Broadcast<BatchA, BatchB> extends infer Batch extends Shape ? [...Batch, M, N] : Broadcast<BatchA, BatchB>>
          : Inner<A, B, K, L, [...BatchB, N]>
        : 'matmul needs at least one axis: multiply by a scalar with mul'
    : 'matmul needs at least one axis: multiply by a scalar with mul'

type Inner<A extends Shape, B extends Shape, K extends number, L extends number, Out> = [SameSize<K, L>] extends [never]
  ? `matmul of ${Show<A>} and ${Show<B>}: inner sizes ${ShowSize<K>} and ${ShowSize<L>} differ`
  : Out

/** What a loss compares one by one must have one shape: broadcasting would hide mistakes. */
export type Compared<S extends Shape, T extends Shape> =
  SameShape<S, T> extends infer Same extends Shape ? Same : `input ${Show<S>} and target ${Show<T>} must have the same shape`

/** A loss of `Each` element or row, reduced by `R`: one number unless that is `none`. */
export type Reduced<R, Each extends Shape> = [R] extends ['none'] ? Each : 'none' extends R ? Shape : []

/** The axes but the last. */
export type Rows<S extends Shape> = S extends readonly [...infer Rest extends Shape, number] ? Rest : Shape

/** A reduction over `A`: one axis, several, or, where undefined, all. With `Keep` the reduced axes stay with size 1. */
export type Reduce<S extends Shape, A extends number | Shape | undefined = undefined, Keep extends boolean = false> = boolean extends Keep
  ? Shape
  : A extends undefined
    ? ReduceKeys<S, AxisKeys<S>, Keep>
    : A extends Shape
      ? ReduceAxes<S, A[number], Keep>
      : ReduceAxes<S, A, Keep>

type ReduceAxes<S extends Shape, A, Keep> = number extends A
  ? Shape
  : UnknownRank<S> extends true
    ? Shape
    : [MissingAxis<S, A>] extends [never]
      ? ReduceKeys<S, Axis<S, A>, Keep>
      : NoAxis<S, MissingAxis<S, A>>

type ReduceKeys<S extends Shape, Keys extends string, Keep> = Keep extends true
  ? UnknownRank<S> extends true
    ? Shape
    : { -readonly [K in keyof S]: K extends Keys ? 1 : S[K] }
  : UnknownRank<S> extends true
    ? []
    : Drop<S, Keys>
