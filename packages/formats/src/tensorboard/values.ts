import { CotangentError, Tensor } from 'cotangent'

/** Numbers to write: a tensor of any shape and dtype, or an array of them. */
export type Values = Tensor | ArrayLike<number> | ArrayLike<bigint>

/** The numbers as they are, without a copy where that can be. Tensors of engines that cannot be read at once must be read before. */
export function numbersOf(values: Values): ArrayLike<number> {
  const list = values instanceof Tensor ? values.dataSync() : values
  return typeof list[0] === 'bigint' ? Float64Array.from(list as ArrayLike<bigint>, Number) : (list as ArrayLike<number>)
}

export function invalid(op: string, message: string, hint: string): CotangentError {
  return new CotangentError('invalid-argument', { op, message, hint })
}
