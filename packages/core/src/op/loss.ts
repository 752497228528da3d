import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import type { Checked, Compared, Reduced, Result, Rows } from '../shape-types.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { div } from './binary.ts'
import { mean, sum } from './reduce.ts'

/** How the losses of the elements (or rows) become one number. */
export type Reduction = 'mean' | 'sum' | 'none'

/** How the losses of all elements become one number: their mean, by default. */
export interface LossOptions {
  /** `mean` (default) and `sum` give one number, `none` one loss for each element or row. */
  readonly reduction?: Reduction
}

/** A loss of elements of two tensors of one shape, with options `O`. */
export interface PairLoss<O extends LossOptions = LossOptions> {
  <S extends Shape, T extends Shape, R extends Reduction = 'mean'>(
    x: Tensor<S>,
    target: Checked<Compared<S, T>, Tensor<T>>,
    options?: WithReduction<O, R>,
  ): Tensor<Reduced<R, Result<Compared<S, T>>>>
}

/** A loss of rows `[..., size]`, with options `O`: one number, or `[...]` of them. */
export interface RowLoss<O extends LossOptions> {
  <S extends Shape, R extends Reduction = 'mean'>(x: Tensor<S>, target: Tensor, options?: WithReduction<O, R>): Tensor<Reduced<R, Rows<S>>>
}

/** A loss of elements of two tensors of one shape and a third tensor, with options `O`. */
export interface TripleLoss<O extends LossOptions> {
  <S extends Shape, T extends Shape, R extends Reduction = 'mean'>(
    a: Tensor<S>,
    b: Checked<Compared<S, T>, Tensor<T>>,
    c: Tensor,
    options?: WithReduction<O, R>,
  ): Tensor<Reduced<R, Result<Compared<S, T>>>>
}

/** The options `O`, whose reduction decides about the shape. */
export type WithReduction<O extends LossOptions, R extends Reduction> = Omit<O, 'reduction'> & { readonly reduction?: R }

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
