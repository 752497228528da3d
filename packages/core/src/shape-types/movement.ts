/** Shape rules of ops that move elements. A rule gives the result's shape, or a sentence that says why not. */
import type { Add, Product, ProductDigits } from './arithmetic.ts'
import type { Axis, AxisKeys, Before, Drop, MissingAxis, Mutable, NoAxis, SameShape, Shape, Show, UnknownRank } from './shape.ts'

/** Two axes swapped, the last two by default. */
export type Transpose<S extends Shape, A extends number = -2, B extends number = -1> =
  true extends UnknownRank<S>
    ? Shape
    : number extends A | B
      ? Shape
      : [MissingAxis<S, A | B>] extends [never]
        ? { -readonly [K in keyof S]: K extends Axis<S, A> ? At<S, B> : K extends Axis<S, B> ? At<S, A> : S[K] }
        : NoAxis<S, MissingAxis<S, A | B>>

type At<S extends Shape, A> = S[Axis<S, A> & keyof S]

/** The axes in the order `P`. */
export type Permute<S extends Shape, P extends Shape> = true extends UnknownRank<S> | UnknownRank<P>
  ? Shape
  : number extends P[number]
    ? { -readonly [K in keyof P]: number }
    : [S['length'], AxisKeys<S>] extends [P['length'], Axis<S, P[number]>]
      ? { -readonly [K in keyof P]: At<S, P[K]> }
      : `permute of ${Show<S>} must name each axis once, not ${Show<P>}`

/** A new shape for the same elements; one -1 stands for what remains. Checked where all sizes are known. */
export type Reshape<S extends Shape, T extends Shape> =
  UnknownRank<T> extends true
    ? Shape
    : -1 extends T[number]
      ? { -readonly [K in keyof T]: T[K] extends -1 ? Remaining<S, T> : T[K] }
      : SameCount<S, T> extends true
        ? Mutable<T>
        : `cannot reshape ${Show<S>} (${Product<S>} elements) to ${Show<T>} (${Product<T>})`

/**
 * The size of the -1 in `T`. It is `number` where the other sizes of `T` are not sizes of `S` (there is no division of types), or
 * where one is 0 or unknown (0 is a `number`).
 */
type Remaining<S extends Shape, T extends Shape> = 0 extends S[number] | T[number]
  ? number
  : Cancel<S, T> extends [infer RestS extends Shape, []]
    ? Product<RestS>
    : number

type SameCount<S extends Shape, T extends Shape> = number extends S[number] | T[number]
  ? true
  : 0 extends S[number]
    ? 0 extends T[number]
      ? true
      : false
    : 0 extends T[number]
      ? false
      : Cancel<S, T> extends [infer RestS extends Shape, infer RestT extends Shape]
        ? ProductDigits<RestS> extends ProductDigits<RestT>
          ? true
          : false
        : never

/** Both lists without the factors they share, 1 and -1: few and small numbers are left to multiply. */
type Cancel<S extends Shape, T extends Shape, RestT extends Shape = []> = T extends readonly [
  infer X extends number,
  ...infer Next extends Shape,
]
  ? X extends 1 | -1
    ? Cancel<S, Next, RestT>
    : Without<S, X> extends infer RestS extends Shape
      ? Cancel<RestS, Next, RestT>
      : Cancel<S, Next, [...RestT, X]>
  : [S, RestT]

/** `S` without the first `X`; `null` where it has none. */
type Without<S extends Shape, X extends number, Seen extends Shape = []> = S extends readonly [
  infer Y extends number,
  ...infer Rest extends Shape,
]
  ? Y extends X
    ? [...Seen, ...Rest]
    : Without<Rest, X, [...Seen, Y]>
  : null

/** The axes from `Start` to `End` (inclusive) as one. */
export type Flatten<S extends Shape, Start extends number = 0, End extends number = -1> = number extends Start | End
  ? Shape
  : UnknownRank<S> extends true
    ? [Start, End] extends [1, -1]
      ? [number, number]
      : [Start, End] extends [0, -1]
        ? [number]
        : Shape
    : S extends readonly []
      ? [1]
      : [MissingAxis<S, Start | End>] extends [never]
        ? FlattenBetween<S, Before<S, Axis<S, Start>>, Before<S, Axis<S, End>>>
        : NoAxis<S, MissingAxis<S, Start | End>>

type FlattenBetween<S extends Shape, Head extends Shape, BeforeLast extends Shape> = S extends readonly [
  ...BeforeLast,
  infer Last extends number,
  ...infer Tail extends Shape,
]
  ? BeforeLast extends readonly [...Head, ...infer Middle extends Shape]
    ? [...Head, Product<[...Middle, Last]>, ...Tail]
    : Shape
  : Shape

/** Without the axis `A` of size 1, or without all such axes. */
export type Squeeze<S extends Shape, A extends number | undefined = undefined> =
  UnknownRank<S> extends true
    ? Shape
    : A extends number
      ? number extends A
        ? Shape
        : [MissingAxis<S, A>] extends [never]
          ? 1 extends At<S, A>
            ? Drop<S, Axis<S, A>>
            : number extends At<S, A>
              ? Drop<S, Axis<S, A>>
              : `axis ${A} of shape ${Show<S>} has size ${At<S, A>}, not 1`
          : NoAxis<S, MissingAxis<S, A>>
      : number extends S[number]
        ? Shape
        : SqueezeAll<S>

type SqueezeAll<S extends Shape, Out extends Shape = []> = S extends readonly [infer X extends number, ...infer Rest extends Shape]
  ? SqueezeAll<Rest, X extends 1 ? Out : [...Out, X]>
  : Out

/** With a new axis of size 1 at `A`. */
export type Unsqueeze<S extends Shape, A extends number> = Insert<S, A, 1>

type Insert<S extends Shape, A extends number, Size extends number> = number extends A
  ? Shape
  : UnknownRank<S> extends true
    ? Shape
    : [MissingAxis<[...S, 1], A>] extends [never]
      ? Before<S, Axis<[...S, 1], A>> extends infer Head extends Shape
        ? S extends readonly [...Head, ...infer Tail extends Shape]
          ? [...Head, Size, ...Tail]
          : Shape
        : never
      : NoAxis<S, A>

/** The shapes of a list of tensors. */
export type ShapesOf<T extends readonly { readonly shape: Shape }[]> = { [K in keyof T]: Mutable<T[K]['shape']> }

/** Joined along axis `A`, where the sizes add up; the other sizes must agree. */
export type Concat<Shapes extends readonly Shape[], A extends number = 0> = number extends A
  ? Shape
  : Shapes extends readonly [infer First extends Shape, ...infer Rest extends readonly Shape[]]
    ? UnknownRank<First> extends true
      ? Shape
      : [Axis<First, A>] extends [never]
        ? NoAxis<First, A>
        : ConcatOnto<First, Rest, Axis<First, A>, A>
    : Shape

type ConcatOnto<S extends Shape, Others extends readonly Shape[], Key extends string, A extends number> = Others extends readonly [
  infer Other extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? UnknownRank<Other> extends true
    ? Shape
    : SameShape<WithSize<S, Key, number>, WithSize<Other, Key, number>> extends infer Same extends Shape
      ? ConcatOnto<WithSize<Same, Key, Add<SizeAt<S, Key>, SizeAt<Other, Key>>>, Rest, Key, A>
      : `cannot concat ${Show<S>} and ${Show<Other>} on axis ${A}: another size differs`
  : S

type SizeAt<S extends Shape, Key extends string> = S[Key & keyof S] & number
type WithSize<S extends Shape, Key extends string, N extends number> = { -readonly [K in keyof S]: K extends Key ? N : S[K] }

/** Equal shapes on a new axis `A`. */
export type Stack<Shapes extends readonly Shape[], A extends number = 0> = Shapes extends readonly [
  infer First extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? StackOnto<First, Rest> extends infer Same
    ? Same extends Shape
      ? Insert<Same, A, Shapes['length']>
      : Same
    : never
  : Shape

type StackOnto<S extends Shape, Others extends readonly Shape[]> = Others extends readonly [
  infer Other extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? SameShape<S, Other> extends infer Same extends Shape
    ? StackOnto<Same, Rest>
    : `cannot stack ${Show<S>} and ${Show<Other>}: the shapes differ`
  : S

/** PyTorch's `gather`: the shape of the index, which has the rank of the source. */
export type Gather<S extends Shape, I extends Shape> = true extends UnknownRank<S> | UnknownRank<I>
  ? Mutable<I>
  : S['length'] extends I['length']
    ? Mutable<I>
    : `gather from ${Show<S>} needs an index of the same rank, not ${Show<I>}`

/** NumPy's `take`: axis `A` replaced by the axes of the index. */
export type Take<S extends Shape, I extends Shape, A extends number = 0> = true extends UnknownRank<S> | UnknownRank<I>
  ? Shape
  : number extends A
    ? Shape
    : [Axis<S, A>] extends [never]
      ? NoAxis<S, A>
      : Before<S, Axis<S, A>> extends infer Head extends Shape
        ? S extends readonly [...Head, number, ...infer Tail extends Shape]
          ? [...Head, ...I, ...Tail]
          : never
        : never

/** A new last axis with a size for each class. */
export type OneHot<S extends Shape, Classes extends number> = UnknownRank<S> extends true ? [...Shape, Classes] : [...S, Classes]

/**
 * Basic indexing with a list of: an integer (drops its axis), `null` (a new axis), `':'` (keeps the axis), `'...'` (keeps
 * all axes not named), anything else (a slice: the size becomes unknown). An index tensor makes the rank unknown.
 */
export type Index<S extends Shape, I extends readonly unknown[]> = true extends UnknownRank<S> | HasTensor<I>
  ? Shape
  : number extends I['length']
    ? Shape
    : IndexFromStart<S, I, []> extends infer Out extends Shape
      ? Out
      : `too many indices for shape ${Show<S>}`

type HasTensor<I extends readonly unknown[]> = Extract<I[number], { readonly shape: Shape }> extends never ? false : true

type IndexFromStart<S extends Shape, I extends readonly unknown[], Head extends Shape> = I extends readonly [infer Item, ...infer Items]
  ? Item extends '...'
    ? IndexFromEnd<S, Items, Head, []>
    : Item extends null
      ? IndexFromStart<S, Items, [...Head, 1]>
      : S extends readonly [infer X extends number, ...infer Rest extends Shape]
        ? IndexFromStart<Rest, Items, [...Head, ...Indexed<X, Item>]>
        : null
  : [...Head, ...S]

type IndexFromEnd<S extends Shape, I extends readonly unknown[], Head extends Shape, Tail extends Shape> = I extends readonly [
  ...infer Items,
  infer Item,
]
  ? Item extends null
    ? IndexFromEnd<S, Items, Head, [1, ...Tail]>
    : S extends readonly [...infer Rest extends Shape, infer X extends number]
      ? IndexFromEnd<Rest, Items, Head, [...Indexed<X, Item>, ...Tail]>
      : null
  : [...Head, ...S, ...Tail]

/** What one index leaves of an axis. */
type Indexed<X extends number, Item> = Item extends number ? [] : Item extends ':' ? [X] : [number]

/** A range of each axis, the first ones first: whole (`null`, `':'`, not named), or of a size that is not known. */
export type Slice<S extends Shape, R extends readonly unknown[]> =
  UnknownRank<S> extends true
    ? Shape
    : number extends R['length']
      ? Shape
      : SliceFromStart<S, R, []> extends infer Out extends Shape
        ? Out
        : `${R['length']} ranges for shape ${Show<S>}`

type SliceFromStart<S extends Shape, R extends readonly unknown[], Head extends Shape> = R extends readonly [infer Item, ...infer Items]
  ? S extends readonly [infer X extends number, ...infer Rest extends Shape]
    ? SliceFromStart<Rest, Items, [...Head, Item extends null | ':' ? X : number]>
    : null
  : [...Head, ...S]

/** `Length` elements of axis `A`. */
export type Narrow<S extends Shape, A extends number, Length extends number> =
  true extends UnknownRank<S>
    ? Shape
    : number extends A
      ? Shape
      : [Axis<S, A>] extends [never]
        ? NoAxis<S, A>
        : WithSize<S, Axis<S, A>, Length> extends infer Out extends Shape
          ? Out
          : never

/** One element of axis `A`, which goes away. */
export type Select<S extends Shape, A extends number> =
  true extends UnknownRank<S> ? Shape : number extends A ? Shape : [Axis<S, A>] extends [never] ? NoAxis<S, A> : Drop<S, Axis<S, A>>

/** The shape of nested arrays, typed arrays and scalars. */
export type DataShape<T> = T extends number | bigint | boolean
  ? []
  : T extends readonly (infer Row)[]
    ? number extends T['length']
      ? [number, ...RowShape<Row>]
      : [T['length'], ...RowShape<Row>]
    : T extends ArrayLike<number | bigint>
      ? [number]
      : Shape

/** Rows of several lengths (which the run time refuses) give the wildcard. */
type RowShape<Row> = [Row] extends [never]
  ? []
  : [Row] extends [number | bigint | boolean]
    ? []
    : [Row] extends [readonly (infer Next)[]]
      ? [IsUnion<Row['length']> extends true ? number : Row['length'], ...RowShape<Next>]
      : Shape

type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never
