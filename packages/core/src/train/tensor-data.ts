import { checkCount } from '../data/check.ts'
import { Dataset } from '../data/dataset.ts'
import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { mapTree, type Tree } from '../tree.ts'
import { type BatchData, batchSizeOf, isTensor } from './batch.ts'

/** Tensors that go together, by name, to be cut into batches: `{ x, y }`. Several inputs or targets are arrays or objects of tensors. */
export type TensorData = Readonly<Record<string, Tree<Tensor>>>

/** Whether it is a tensor, or arrays and plain objects of tensors alone. */
export function isTensorTree(x: unknown): x is Tree<Tensor> {
  if (isTensor(x)) return true
  if (typeof x !== 'object' || x === null || !(Array.isArray(x) || Object.getPrototypeOf(x) === Object.prototype)) return false
  const parts = Object.values(x)
  return parts.length > 0 && parts.every(isTensorTree)
}

export const isTensorData = (data: unknown): data is TensorData => isTensorTree(data) && !isTensor(data) && !Array.isArray(data)

export function tensorBatches(tensors: TensorData, batchSize: number, { shuffle }: { readonly shuffle: boolean }): BatchData {
  const rows = Dataset.fromTensors(tensors)
  return (shuffle ? rows.shuffle() : rows).batch(batchSize)
}

/** Inputs, cut along the first axis. */
export function rowsOf(data: Tensor, batchSize: number): BatchData {
  checkCount('predict', 'batchSize', batchSize)
  const size = batchSizeOf(data)
  const starts = Array.from({ length: Math.ceil(size / batchSize) }, (_, i) => i * batchSize)
  return starts.map((start) => data.narrow(0, start, Math.min(batchSize, size - start)))
}

/** Rows of the end apart, for validation. */
export function splitRows(data: TensorData, share: number): [TensorData, TensorData] {
  const size = batchSizeOf(data)
  const held = Math.round(share * size)
  if (!(share > 0 && share < 1) || held === 0 || held === size) {
    throw new CotangentError('invalid-argument', {
      op: 'fit',
      message: `validationSplit is ${share} of ${size} rows`,
      hint: 'It is a share between 0 and 1 that leaves rows on both sides.',
    })
  }
  const cut = (start: number, count: number) => mapTree(data, isTensor, (x) => x.narrow(0, start, count)) as TensorData
  return [cut(0, size - held), cut(size - held, held)]
}
