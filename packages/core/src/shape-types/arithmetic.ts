/**
 * Sums and products of literal sizes, as one does them on paper: on decimal digits, the least significant first. The work
 * grows with the number of digits, never with the numbers.
 */
import type { Shape } from './shape.ts'

/** `A + B`; `number` where one is unknown. */
export type Add<A extends number, B extends number> = number extends A | B
  ? number
  : ToNumber<MultiplyAdd<Reverse<`${A}`>, '1', Reverse<`${B}`>>>

/** The product of all sizes; `number` where one is unknown. */
export type Product<S extends Shape> = number extends S['length'] | S[number]
  ? number
  : 0 extends S[number]
    ? 0
    : ToNumber<ProductDigits<S>>

/** The digits of the product, reversed. Equal digits mean equal products, also beyond the safe integers. */
export type ProductDigits<S extends Shape, Digits extends string = '1'> = S extends readonly [
  infer X extends number,
  ...infer Rest extends Shape,
]
  ? ProductDigits<Rest, X extends 1 ? Digits : Digits extends '1' ? Reverse<`${X}`> : Multiply<Digits, `${X}`>>
  : Digits

/** A product by Horner's rule: for each digit of `B` from the left, `out = out * 10 + A * digit`. */
type Multiply<A extends string, B extends string, Out extends string = ''> = B extends `${infer D}${infer Rest}`
  ? Multiply<A, Rest, MultiplyAdd<A, D, `0${Out}`>>
  : Out

/** `A * D + B` for one digit `D`. */
type MultiplyAdd<
  A extends string,
  D extends string,
  B extends string,
  Carry extends string = '0',
  Out extends string = '',
> = `${A}${B}` extends ''
  ? Carry extends '0'
    ? Out
    : `${Out}${Carry}`
  : Column<First<A>, D, First<B>, Carry> extends `${infer Tens}${infer Ones}`
    ? MultiplyAdd<Rest<A>, D, Rest<B>, Tens, `${Out}${Ones}`>
    : never

/** One column, `a * d + b + carry`, counted as the length of a tuple (at most 81 + 9 + 9). Always two digits. */
type Column<A extends string, D extends string, B extends string, Carry extends string> = TwoDigits<
  [...Times<D, Times<A>>, ...Times<B>, ...Times<Carry>]['length']
>

type TwoDigits<N> = N extends number ? (`${N}` extends keyof Multiples<[]> ? `0${N}` : `${N}`) : never

/** A tuple repeated; no digit (the number has ended) counts as 0. */
type Times<D extends string, T extends 0[] = [0]> = D extends keyof Multiples<T> ? Multiples<T>[D] : []

interface Multiples<T extends 0[]> {
  '0': []
  '1': T
  '2': [...T, ...T]
  '3': [...T, ...T, ...T]
  '4': [...T, ...T, ...T, ...T]
  '5': [...T, ...T, ...T, ...T, ...T]
  '6': [...T, ...T, ...T, ...T, ...T, ...T]
  '7': [...T, ...T, ...T, ...T, ...T, ...T, ...T]
  '8': [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]
  '9': [...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T, ...T]
}

type First<Text extends string> = Text extends `${infer C}${string}` ? C : ''
type Rest<Text extends string> = Text extends `${string}${infer Tail}` ? Tail : ''
type Reverse<Text extends string, Out extends string = ''> = Text extends `${infer C}${infer Tail}` ? Reverse<Tail, `${C}${Out}`> : Out
type ToNumber<Digits extends string> = Reverse<Digits> extends `${infer N extends number}` ? N : never
