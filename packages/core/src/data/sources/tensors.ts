import { CotangentError } from '../../errors.ts'
import { tensor } from '../../op/creation.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { leavesOf, mapTree } from '../../tree.ts'
import { indexedStage } from '../indexed.ts'
import type { Indexed, Stage } from '../stage.ts'

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** Slices of tensors that go together, along their first axis. */
export function tensorsStage<T>(tensors: T): Stage<T> {
  const leaves = leavesOf(tensors, isTensor)
  const sizes = leaves.map((t) => t.shape[0])
  const [length] = sizes
  if (length === undefined || sizes.some((n) => n !== length)) {
    throw new CotangentError('shape-mismatch', {
      op: 'fromTensors',
      message: leaves.length === 0 ? 'there is no tensor' : 'all tensors must have the same first size',
      shapes: leaves.map((t) => t.shape),
      hint: 'The first axis counts the examples.',
    })
  }
  const cut = (change: (t: Tensor) => Tensor) => mapTree(tensors, isTensor, change) as T
  const elements: Indexed<T> = {
    length,
    at: (index) => cut((t) => t.at(index)),
    placeOf: (index) => ({ source: 'fromTensors', index }),
    rows: (indices) => {
      if (!(indices instanceof Int32Array)) return cut((t) => t.narrow(0, indices.start, indices.count))
      const rows = tensor(indices)
      return cut((t) => t.indexSelect(0, rows))
    },
  }
  return indexedStage({ name: 'fromTensors', length, hasRows: true, open: () => elements })
}
