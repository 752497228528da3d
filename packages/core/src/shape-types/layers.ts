/**
 * Shape rules of layers, and of chains of layers.
 *
 * A layer carries its rule as two fields that exist only for the compiler: `$in`, any shape, and `$out`, written in terms of
 * it. One line in a layer's class is enough:
 *
 *     declare readonly $out: LinearOut<InputOf<this>, In, Out>
 */
import type { Checked, Mutable, Result, SameShape, SameSize, Shape, Show, ShowSize, UnknownRank } from './shape.ts'

/** What a layer carries for the compiler. */
export interface ShapeRule {
  readonly $in: unknown
  /** A shape, or a sentence that says why the input does not fit. */
  readonly $out: unknown
}

/** The input's shape, for use in a layer's `$out`. */
export type InputOf<Rule> = Rule extends { readonly $in: infer S extends Shape } ? S : Shape

/** What `Layer` makes of an input of shape `S`: a shape or a sentence. Functions are layers too. */
export type Apply<Layer, S extends Shape> = Layer extends ShapeRule
  ? (Layer & { readonly $in: S })['$out']
  : Layer extends KeepsShape
    ? S
    : Layer extends (x: infer X) => infer Y
      ? SameShape<S, ShapeOf<X>> extends null
        ? `this layer takes ${Show<ShapeOf<X>>}, not ${Show<S>}`
        : ShapeOf<Y>
      : Shape

type ShapeOf<T> = T extends { readonly shape: infer S extends Shape } ? Mutable<S> : Shape

/**
 * A function that returns the shape it takes whatever that is, like `relu`. It is a method's type, whose parameters the compiler
 * compares both ways, because the function wants a whole tensor and not only its shape.
 */
type KeepsShape = { method<S extends Shape>(x: { readonly shape: S }): { readonly shape: S } }['method']

/** What a chain of layers makes of an input of shape `S`: a shape or the first sentence. */
export type Chain<Layers extends readonly unknown[], S extends Shape = Shape> = Layers extends readonly [infer First, ...infer Rest]
  ? Apply<First, S> extends infer Out
    ? Out extends string
      ? Out
      : Chain<Rest, Result<Out>>
    : never
  : Layers extends readonly []
    ? S
    : Shape

/** The parameters of a chain: its layers, with a sentence in place of each that does not take what the layer before it gives. */
export type CheckedChain<Layers extends readonly unknown[]> = {
  [K in keyof Layers]: Checked<ChainVerdicts<Layers>[K & keyof ChainVerdicts<Layers>], Layers[K]>
}

/** For each layer the shape it gives, or a sentence; after a sentence the chain goes on with an unknown shape. */
type ChainVerdicts<
  Layers extends readonly unknown[],
  S extends Shape = Shape,
  Seen extends readonly unknown[] = [],
> = Layers extends readonly [infer First, ...infer Rest]
  ? ChainVerdicts<Rest, Result<Apply<First, S>>, [...Seen, Apply<First, S>]>
  : Layers extends readonly []
    ? Seen
    : [...Seen, ...Shape[]]

/** A linear layer: the last size is `In`, and becomes `Out`. */
export type LinearOut<S extends Shape, In extends number, Out extends number> = S extends readonly [
  ...infer Batch extends Shape,
  infer Last extends number,
]
  ? [SameSize<Last, In>] extends [never]
    ? `Linear takes a last size of ${In}, not ${ShowSize<Last>} (shape ${Show<S>})`
    : [...Batch, Out]
  : UnknownRank<S> extends true
    ? [...S, Out]
    : `Linear takes a last size of ${In}, not a scalar`

/** `LinearOut` of a weight `[in, out]`. */
export type LinearWith<S extends Shape, W extends Shape> =
  UnknownRank<W> extends true
    ? LinearOut<S, number, number>
    : W extends readonly [infer In extends number, infer Out extends number]
      ? LinearOut<S, In, Out>
      : `linear takes a weight [in, out], not ${Show<W>}`

/** An embedding: each index becomes a vector. */
export type EmbeddingOut<S extends Shape, Dim extends number> = [...S, Dim]

/** A convolution over `Rank` spatial axes, channels last: `[N, H, W, In]` becomes `[N, number, number, Out]`. */
export type ConvOut<S extends Shape, In extends number, Out extends number, Rank extends 1 | 2 | 3 = 2> = S extends readonly [
  infer N extends number,
  ...Spatial[Rank],
  infer C extends number,
]
  ? ConvChannels<S, C, In, [N, ...Spatial[Rank], Out]>
  : UnknownRank<S> extends true
    ? S extends readonly [...Shape, infer C extends number]
      ? ConvChannels<S, C, In, [number, ...Spatial[Rank], Out]>
      : [number, ...Spatial[Rank], Out]
    : `a ${Rank}d convolution takes ${Show<[number, ...Spatial[Rank], In]>}, not ${Show<S>}`

type ConvChannels<S extends Shape, C extends number, In extends number, Out> = [SameSize<C, In>] extends [never]
  ? `the convolution takes ${In} channels, not ${ShowSize<C>} (last axis of ${Show<S>})`
  : Out

/**
 * `ConvOut` of a weight `[...kernel, in / groups, out]`, or, where `Transposed`, `[...kernel, out / groups, in]`. The size that
 * depends on the groups is not known, so it is not checked.
 */
export type ConvWith<S extends Shape, W extends Shape, Rank extends 1 | 2 | 3, Transposed extends boolean = false> =
  UnknownRank<W> extends true
    ? ConvOut<S, number, number, Rank>
    : W extends readonly [...Spatial[Rank], number, infer Last extends number]
      ? Transposed extends true
        ? ConvOut<S, Last, number, Rank>
        : ConvOut<S, number, Last, Rank>
      : `a ${Rank}d convolution takes a weight ${Show<[...Spatial[Rank], number, number]>}, not ${Show<W>}`

/** The sizes that one number for all `Rank` spatial axes, or one an axis, stand for. */
export type SizesOf<P, Rank extends 1 | 2 | 3> = P extends number
  ? { 1: [P]; 2: [P, P]; 3: [P, P, P] }[Rank]
  : P extends Shape & { readonly length: Rank }
    ? P
    : Spatial[Rank]

/** Pooling over `Rank` spatial axes, channels last. Pass `Size` where the sizes are known (adaptive pooling). */
export type PoolOut<S extends Shape, Rank extends 1 | 2 | 3 = 2, Size extends Shape = Spatial[Rank]> = S extends readonly [
  infer N extends number,
  ...Spatial[Rank],
  infer C extends number,
]
  ? [N, ...Size, C]
  : UnknownRank<S> extends true
    ? S extends readonly [...Shape, infer C extends number]
      ? [number, ...Size, C]
      : [number, ...Size, number]
    : `${Rank}d pooling takes ${Show<[number, ...Spatial[Rank], number]>}, not ${Show<S>}`

interface Spatial {
  1: [number]
  2: [number, number]
  3: [number, number, number]
}
