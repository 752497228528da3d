import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div } from './binary.ts'
import { mean, sum } from './reduce.ts'

/** How the losses of the elements (or rows) become one number. */
export type Reduction = 'mean' | 'sum' | 'none'

export interface LossOptions {
  /** `mean` (default) and `sum` give one number, `none` one loss for each element or row. */
  readonly reduction?: Reduction
}

export function checkReduction(op: string, reduction: Reduction | undefined): Reduction {
  if (reduction === undefined) return 'mean'
  if (reduction === 'mean' || reduction === 'sum' || reduction === 'none') return reduction
  throw new CotangentError('invalid-argument', {
    op,
    message: `there is no reduction '${String(reduction)}'`,
    hint: "Use 'mean', 'sum' or 'none'.",
  })
}

/** The losses of rows, reduced; their mean is taken over `weights`, where given. */
export function reduceLoss(op: string, losses: Tensor, reduction: Reduction | undefined, weights?: Tensor): Tensor {
  switch (checkReduction(op, reduction)) {
    case 'none':
      return losses
    case 'sum':
      return sum(losses)
    case 'mean':
      return weights ? div(sum(losses), sum(weights)) : mean(losses)
  }
}
