import { type DType, type DTypeKind, toFloat } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import type { Shape } from '../layout.ts'
import type { Broadcast, Checked, Result } from '../shape-types.ts'
import type { Precision } from '../tensor/autocast.ts'
import { bind1, type Input } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Tensor } from '../tensor/tensor.ts'
import { type KernelOp, kernelPrimitive } from './kernel-op.ts'
import { type Declaration, define, defineFunction, type Sample, sampleTensor } from './table.ts'

/** A number next to a tensor. */
export type ScalarLike = number | bigint | boolean

/** Tensor or number -> what the door takes; numbers take their dtype from the tensors beside them. */
export function toInputs(args: readonly (Tensor | ScalarLike)[]): Input[] {
  const tensor = args.find((a) => a instanceof Tensor)!
  return args.map((a) => (typeof a === 'number' || typeof a === 'bigint' || typeof a === 'boolean' ? Scalar.beside(a, tensor.dtype) : a))
}

/** Shapes on which every elementwise op is tested: plain, one element, 0-d, empty, odd. */
export const sampleShapes: readonly Shape[] = [[3, 5], [], [0, 2], [17], [2, 1, 3]]

/** Numeric options as values of scalar code. */
type Params<P extends readonly number[]> = { [K in keyof P]: Value }

interface UnaryOptions<P extends readonly number[]> {
  readonly doc: string
  /** The op on one element; `params` are its numeric options, in the order of `params`' call. */
  readonly code: (k: KernelBuilder, x: Value, ...params: Params<P>) => Value
  /** The derivative from the result alone, where it is known: the argument need not be kept then. `g` is the adjoint. */
  readonly fromOutput?: (k: KernelBuilder, g: Value, y: Value, ...params: Params<P>) => Value
  /** The derivative from argument and result, where better code is known than differentiating `code` gives. */
  readonly derivative?: (k: KernelBuilder, g: Value, x: Value, y: Value, ...params: Params<P>) => Value
  /** `float` (default): integers compute as float32; `same`: any dtype computes as itself. */
  readonly dtypes?: 'float' | 'same'
  readonly accepts?: readonly DTypeKind[]
  /** Dtype of the result, where it is not the computing dtype or the value's own type. */
  readonly result?: DType
  /** Samples are drawn from here; keep away from poles and kinks. Default [-2, 2]. */
  readonly domain?: readonly [low: number, high: number]
  /** Dtype of the samples, where float32 will not do. */
  readonly dtype?: DType
  readonly differentiable?: boolean
  readonly gradient?: Sample['gradient']
  readonly precision?: Precision
}

/** An elementwise op of one tensor, for the door. */
/* @__NO_SIDE_EFFECTS__ */
export function unaryPrimitive<P extends readonly number[] = []>(
  name: string,
  options: Omit<UnaryOptions<P>, 'doc'>,
): Primitive<undefined> {
  const { fromOutput, derivative } = options
  const op: KernelOp<undefined> = {
    name,
    ...(options.dtypes === 'same' ? {} : { compute: toFloat }),
    ...(options.differentiable === undefined ? {} : { differentiable: options.differentiable }),
    ...(options.accepts && { accepts: options.accepts }),
    ...(options.result && { result: () => options.result! }),
    code: (k, [x, ...params]) => [options.code(k, x!, ...(params as never))],
    ...(derivative && { adjoint: (k, [g], [x, ...params], [y]) => [derivative(k, g!, x!, y!, ...(params as never))] }),
    ...(fromOutput && { adjoint: (k, [g], [, ...params], [y]) => [fromOutput(k, g!, y!, ...(params as never))] }),
  }
  return kernelPrimitive(op)
}

/** A function of one tensor, element by element, which keeps the shape. */
export interface UnaryFunction<Rest extends readonly unknown[] = []> {
  <S extends Shape>(x: Tensor<S>, ...rest: Rest): Tensor<S>
}

const unaryEntry = (name: string, options: UnaryOptions<[]>): Declaration<UnaryFunction> => {
  const primitive = unaryPrimitive(name, options)
  return {
    name,
    doc: options.doc,
    ...precisionOf(options),
    call: <S extends Shape>(x: Tensor<S>) => bind1(primitive, [x], undefined) as Tensor<S>,
    samples: () => sampleShapes.map((shape) => ({ args: [sampleOf(shape, options)], ...gradientNote(options) })),
  }
}

/** Declares an elementwise op of one tensor. */
export const unary = (name: string, options: UnaryOptions<[]>): UnaryFunction => define(unaryEntry(name, options))

/** The same as a function only. */
/* @__NO_SIDE_EFFECTS__ */
export const unaryFunction = (name: string, options: UnaryOptions<[]>): UnaryFunction => defineFunction(unaryEntry(name, options))

interface WithOptions<O extends object, P extends readonly number[]> extends UnaryOptions<P> {
  readonly params: (options: Partial<O>, dtype: DType) => P
  readonly variants: readonly Partial<O>[]
}

const unaryWithEntry = <O extends object, P extends readonly number[]>(
  name: string,
  options: WithOptions<O, P>,
): Declaration<UnaryFunction<[options?: Partial<O>]>> => {
  const primitive = unaryPrimitive(name, options)
  return {
    name,
    doc: options.doc,
    ...precisionOf(options),
    call: <S extends Shape>(x: Tensor<S>, given: Partial<O> = {}) => {
      const dtype = options.dtypes === 'same' ? x.dtype : toFloat(x.dtype)
      return bind1(primitive, [x, ...options.params(given, dtype).map((v) => new Scalar(v, dtype))], undefined) as Tensor<S>
    },
    samples: () =>
      [{} as Partial<O>, ...options.variants].flatMap((variant) =>
        sampleShapes.map((shape) => ({ args: [sampleOf(shape, options), variant], ...gradientNote(options) })),
      ),
  }
}

/** Declares an elementwise op of one tensor with numeric options, which are arguments of the kernel: changing one compiles nothing. */
export const unaryWith = <O extends object, P extends readonly number[]>(name: string, options: WithOptions<O, P>) =>
  define(unaryWithEntry(name, options))

/** The same as a function only. */
/* @__NO_SIDE_EFFECTS__ */
export const unaryFunctionWith = <O extends object, P extends readonly number[]>(name: string, options: WithOptions<O, P>) =>
  defineFunction(unaryWithEntry(name, options))

const sampleOf = (
  shape: Shape,
  { domain, dtype }: { readonly domain?: readonly [number, number] | undefined; readonly dtype?: DType | undefined },
) => {
  const [low, high] = domain ?? (dtype ? [-9, 9] : [-2, 2])
  return sampleTensor(shape, { low, high, ...(dtype && { dtype }) })
}

/** A function of two tensors or numbers, which broadcast. */
export interface BinaryFunction {
  <A extends Shape, const B extends Shape = []>(
    a: Tensor<A> | ScalarLike,
    b: ScalarLike | Checked<Broadcast<A, B>, Tensor<B>>,
  ): Tensor<Result<Broadcast<A, B>>>
}

/** The same as a method of its first operand. */
export interface BinaryMethod {
  <A extends Shape, const B extends Shape = []>(
    this: Tensor<A>,
    other: ScalarLike | Checked<Broadcast<A, B>, Tensor<B>>,
  ): Tensor<Result<Broadcast<A, B>>>
}

interface BinaryOptions extends Pick<KernelOp<undefined>, 'code' | 'adjoint' | 'accepts' | 'differentiable'> {
  readonly doc: string
  /** `same` (default): computes in the promoted dtype; `float`: integers compute as float32; or a dtype. */
  readonly dtypes?: 'float' | 'same' | DType
  /** Samples of the operands are drawn from here; keep away from poles and kinks. Default [-2, 2]; a second one for the second operand. */
  readonly domain?: readonly [low: number, high: number]
  readonly secondDomain?: readonly [low: number, high: number]
  /** Dtype of the samples, where float32 will not do. */
  readonly dtype?: DType
  readonly gradient?: Sample['gradient']
  readonly precision?: Precision
  /** Ways to compute with a number as the second operand that are better than the general one. */
  readonly special?: (a: Tensor, b: number) => Tensor | undefined
}

const samplePairs: readonly (readonly [Shape, Shape])[] = [
  [
    [3, 5],
    [3, 5],
  ],
  [[4, 3], [3]],
  [
    [2, 1, 3],
    [4, 1],
  ],
  [[], [2]],
  [[0, 3], [3]],
]

/** Declares an elementwise op of two tensors or numbers, which broadcast and promote. */
export function binary(name: string, options: BinaryOptions): BinaryFunction {
  const { doc, dtypes = 'same', domain, secondDomain = domain, dtype, gradient, special, precision, ...code } = options
  const compute = dtypes === 'float' ? toFloat : () => dtypes as DType
  const primitive = kernelPrimitive<undefined>({ name, ...(dtypes !== 'same' && { compute }), ...code })
  const note = gradient ? { gradient } : {}
  const scalar = dtype ? 3 : 1.5
  return define({
    name,
    doc,
    ...(precision && { precision }),
    call: ((a: Tensor | ScalarLike, b: Tensor | ScalarLike) =>
      (special && typeof b === 'number' && a instanceof Tensor && special(a, b)) ||
      bind1(primitive, toInputs([a, b]), undefined)) as BinaryFunction,
    samples: () => [
      ...samplePairs.map(([a, b]) => ({ args: [sampleOf(a, { domain, dtype }), sampleOf(b, { domain: secondDomain, dtype })], ...note })),
      { args: [sampleOf([3], { domain, dtype }), scalar], ...note },
    ],
  })
}

/** The names of a module's functions of one tensor. */
type UnaryName<Module> = { [K in keyof Module]: Module[K] extends UnaryFunction<never> ? K : never }[keyof Module]

/** The elementwise ops of a module, as methods of a tensor of shape `S`. `Pick` keeps what editors show of the functions. */
export type MethodsOf<Module, S extends Shape> = {
  [K in keyof Pick<Module, UnaryName<Module>>]: Module[K] extends UnaryFunction<infer Rest> ? (...rest: Rest) => Tensor<S> : never
}

/** Functions of a module as methods of one type. */
export type SameMethods<Module, Name extends keyof Module, Method> = { [K in keyof Pick<Module, Name>]: Method }

const gradientNote = ({ gradient }: { readonly gradient?: Sample['gradient'] }) => (gradient ? { gradient } : {})

const precisionOf = ({ precision }: { readonly precision?: Precision }) => (precision ? { precision } : {})
