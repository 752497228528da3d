/** The shape that Einstein notation gives. A rule gives the result's shape, or a sentence that says why not. */
import type { SameSize, Shape, Show, ShowSize, UnknownRank } from './shape.ts'

/** That of `einsum(Equation, ...)`. Notation with an ellipsis or without an arrow, or of a tensor of unknown rank, gives the wildcard. */
export type Einsum<Equation extends string, Shapes extends readonly Shape[]> = string extends Equation
  ? Shape
  : number extends Shapes['length']
    ? Shape
    : WithoutSpaces<Equation> extends `${infer Terms}->${infer Out}`
      ? `${Terms}${Out}` extends `${string}.${string}`
        ? Shape
        : Sizes<Terms, Shapes, Record<never, never>> extends infer Known
          ? Known extends string
            ? Known
            : Known extends Record<string, number>
              ? SizesOfLabels<Out, Known>
              : Shape
          : never
      : Shape

type WithoutSpaces<Text extends string> = Text extends `${infer Head} ${infer Tail}` ? WithoutSpaces<`${Head}${Tail}`> : Text

/** The size that each label stands for; a sentence where that cannot be, `null` where a rank is unknown. */
type Sizes<Terms extends string, Shapes extends readonly Shape[], Known> = Shapes extends readonly [
  infer S extends Shape,
  ...infer Rest extends readonly Shape[],
]
  ? Terms extends `${infer Term},${infer Others}`
    ? Then<SizesOfTerm<Term, S, Known, S>, Others, Rest>
    : Rest extends readonly []
      ? SizesOfTerm<Terms, S, Known, S>
      : 'there are more tensors than terms'
  : 'there are more terms than tensors'

type Then<Known, Terms extends string, Shapes extends readonly Shape[]> = Known extends string | null ? Known : Sizes<Terms, Shapes, Known>

type SizesOfTerm<Term extends string, S extends Shape, Known, Whole extends Shape> =
  UnknownRank<S> extends true
    ? null
    : Term extends `${infer Label}${infer Labels}`
      ? S extends readonly [infer Size extends number, ...infer Rest extends Shape]
        ? Label extends keyof Known
          ? [SameSize<Known[Label] & number, Size>] extends [never]
            ? `label '${Label}' stands for sizes ${ShowSize<Known[Label] & number>} and ${ShowSize<Size>}`
            : SizesOfTerm<Labels, Rest, Omit<Known, Label> & Record<Label, SameSize<Known[Label] & number, Size>>, Whole>
          : SizesOfTerm<Labels, Rest, Known & Record<Label, Size>, Whole>
        : `a term has more labels than shape ${Show<Whole>} has axes`
      : S extends readonly []
        ? Known
        : `a term has fewer labels than shape ${Show<Whole>} has axes`

type SizesOfLabels<
  Labels extends string,
  Known extends Record<string, number>,
  Out extends Shape = [],
> = Labels extends `${infer Label}${infer Rest}`
  ? Label extends keyof Known
    ? SizesOfLabels<Rest, Known, [...Out, Known[Label]]>
    : `label '${Label}' of the result comes from no term`
  : Out
