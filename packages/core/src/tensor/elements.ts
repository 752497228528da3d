import { bfloat16Bits, bfloat16Value, type DType, dtypeInfo, float16Bits, float16Value, type TypedArray } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'

/** One element of a tensor in JavaScript: bool as boolean, int64 as bigint, all others as number. */
export type Element = number | boolean | bigint
/** One value, or arrays of arrays of them: `[[1, 2], [3, 4]]`. */
export type Nested<T> = T | readonly Nested<T>[]

/** Elements as the dtype's storage has them -> as a user reads them (16-bit floats become float32). */
export function fromRaw(raw: TypedArray, dtype: DType): TypedArray {
  if (dtype !== 'float16' && dtype !== 'bfloat16') return raw
  const decode = dtype === 'float16' ? float16Value : bfloat16Value
  return Float32Array.from(raw as Uint16Array, decode)
}

/** Numbers -> the dtype's storage. Integers wrap, floats round to nearest even. */
export function toRaw(values: ArrayLike<Element>, dtype: DType): TypedArray {
  const raw = new dtypeInfo[dtype].array(values.length)
  const encode = encoderOf(dtype)
  for (let i = 0; i < values.length; i++) raw[i] = encode(values[i]!) as never
  return raw
}

function encoderOf(dtype: DType): (value: Element) => number | bigint {
  switch (dtype) {
    case 'bool':
      return (v) => (v ? 1 : 0)
    case 'int64':
      return (v) => (typeof v === 'bigint' ? v : BigInt(Number.isFinite(Number(v)) ? Math.trunc(Number(v)) : 0))
    case 'float16':
      return (v) => float16Bits(Number(v))
    case 'bfloat16':
      return (v) => bfloat16Bits(Number(v))
    default:
      return Number
  }
}

/** Row-major elements -> nested arrays of `shape`. */
export function nest(data: TypedArray, shape: Shape, dtype: DType): Nested<Element> {
  let at = 0
  const read = (): Element => (dtype === 'bool' ? Boolean(data[at++]) : data[at++]!)
  const build = (axis: number): Nested<Element> =>
    axis === shape.length ? read() : Array.from({ length: shape[axis]! }, () => build(axis + 1))
  return build(0)
}

/** Nested arrays -> shape and row-major elements; refuses ragged ones. */
export function flatten(nested: Nested<Element>): { shape: number[]; values: Element[] } {
  const shape: number[] = []
  for (let level: Nested<Element> | undefined = nested; Array.isArray(level); level = (level as readonly Nested<Element>[])[0])
    shape.push(level.length)
  const values: Element[] = []
  const walk = (part: Nested<Element>, axis: number): void => {
    if (axis === shape.length) {
      if (typeof part !== 'number' && typeof part !== 'boolean' && typeof part !== 'bigint') {
        throw new CotangentError('invalid-argument', {
          op: 'tensor',
          message: `found ${Array.isArray(part) ? 'an array' : String(part)} where a number was expected`,
          hint: 'Nested arrays must be rectangular and hold numbers, booleans or bigints.',
        })
      }
      values.push(part)
      return
    }
    if (!Array.isArray(part) || part.length !== shape[axis]) {
      throw new CotangentError('shape-mismatch', {
        op: 'tensor',
        message: `nested arrays are ragged: at depth ${axis} one has ${Array.isArray(part) ? `${part.length} entries` : 'no entries'}, the first has ${shape[axis]}`,
        hint: 'Make all arrays of a depth equally long.',
      })
    }
    for (const entry of part) walk(entry, axis + 1)
  }
  walk(nested, 0)
  return { shape, values }
}
