import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'
import { canRead } from './index-tensor.ts'

/** How long each sequence of a padded batch is, at most `most` (default: all are): int32 [batch], checked where numbers can be looked at. */
export function lengthsOf(op: string, name: string, given: Tensor | readonly number[] | undefined, batch: number, most: number): Tensor {
  const lengths: Tensor =
    given instanceof Tensor
      ? given.detach().cast('int32')
      : (tensor(given ?? new Array<number>(batch).fill(most), { dtype: 'int32' }) as Tensor)
  if (lengths.rank !== 1 || lengths.shape[0] !== batch)
    throw new CotangentError('shape-mismatch', { op, message: `${name} must hold one length a sample`, shapes: [lengths.shape] })
  const wrong = canRead(lengths) ? Array.from(lengths.dataSync(), Number).find((n) => n < 0 || n > most) : undefined
  if (wrong !== undefined) throw new CotangentError('invalid-argument', { op, message: `${name} has ${wrong}, but there are ${most}` })
  return lengths
}
