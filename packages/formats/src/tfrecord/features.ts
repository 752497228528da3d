import { CotangentError, type Shape, type Tensor } from 'cotangent'

/**
 * Element types of features. tf.Example keeps numbers as float32 or int64; `int32` and `bool` are int64 in the file, checked as they are
 * read. `string` is UTF-8, `bytes` is anything.
 */
export type FeatureType = 'float32' | 'int64' | 'int32' | 'bool' | 'string' | 'bytes'

/** A feature of the same shape in every record: one value where the shape is `[]`, else a list. */
export interface FixedLength<T extends FeatureType = FeatureType, S extends Shape = Shape> {
  readonly kind: 'fixed'
  readonly type: T
  readonly shape: S
  /** Stands for a feature that a record lacks: one element for all, or one each. Without it, such a record is an error. */
  readonly default?: Element<T> | readonly Element<T>[]
}

/** A feature of any number of elements: a list. */
export interface VariableLength<T extends FeatureType = FeatureType> {
  readonly kind: 'variable'
  readonly type: T
}

/** What a feature of `tf.Example` is read as. */
export type FeatureSpec = FixedLength | VariableLength
/** What records hold, by name: what is not named is passed over. */
export type Features = Readonly<Record<string, FeatureSpec>>

type Element<T extends FeatureType> = T extends 'string'
  ? string
  : T extends 'bytes'
    ? Uint8Array
    : T extends 'int64'
      ? number | bigint
      : T extends 'bool'
        ? boolean
        : number
type Scalar<T extends FeatureType> = T extends 'int64' ? bigint : Element<T>
type List<T extends FeatureType> = T extends 'string' ? string[] : T extends 'bytes' ? Uint8Array[] : Tensor

/** One record: shape [] gives a number, text or bytes; any other a tensor of that shape, or a list of texts, row-major. */
export type Row<F extends Features> = {
  -readonly [K in keyof F]: F[K] extends FixedLength<infer T, infer S>
    ? S extends readonly []
      ? Scalar<T>
      : List<T>
    : F[K] extends VariableLength<infer T>
      ? List<T>
      : never
}

/** What can be written as a feature: a value, a list, or a tensor. */
export type FeatureValue =
  | number
  | bigint
  | boolean
  | string
  | Uint8Array
  | Tensor
  | ArrayLike<number>
  | ArrayLike<bigint>
  | readonly (string | Uint8Array | boolean)[]

/** As many values as `shape` has elements; default one. TensorFlow's FixedLenFeature. */
export function fixedLength<T extends FeatureType>(type: T): FixedLength<T, readonly []>
export function fixedLength<T extends FeatureType, const S extends Shape = readonly []>(
  type: T,
  shape: S,
  options?: { readonly default?: Element<T> | readonly Element<T>[] },
): FixedLength<T, S>
export function fixedLength(
  type: FeatureType,
  shape: Shape = [],
  options: { readonly default?: Element<FeatureType> | readonly Element<FeatureType>[] } = {},
): FixedLength {
  checkType(type)
  if (!shape.every((size) => Number.isSafeInteger(size) && size >= 0)) {
    throw new CotangentError('invalid-argument', {
      op: 'fixedLength',
      message: 'the shape has sizes that are none',
      shapes: [shape],
      hint: 'Use variableLength for what differs.',
    })
  }
  return { kind: 'fixed', type, shape, ...(options.default !== undefined && { default: options.default as Element<FeatureType> }) }
}

/** Any number of values, none where the record lacks it. TensorFlow's VarLenFeature, but dense. */
export function variableLength<T extends FeatureType>(type: T): VariableLength<T> {
  checkType(type)
  return { kind: 'variable', type }
}

const types: readonly string[] = ['float32', 'int64', 'int32', 'bool', 'string', 'bytes'] satisfies FeatureType[]

function checkType(type: string): void {
  if (types.includes(type)) return
  throw new CotangentError('invalid-argument', {
    op: 'features',
    message: `${JSON.stringify(type)} is no type of a feature`,
    hint: `Use one of ${types.join(', ')}.`,
  })
}
