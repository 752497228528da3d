import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { averageSquare, descentOf, kernelRule, lerp } from './update-rule.ts'

export interface RMSpropOptions extends OptimizerOptions {
  /** Decay rate of the moving average of squares. */
  readonly alpha: number
  /** Added to the denominator. */
  readonly eps: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** How much of the step before is added to each step. */
  readonly momentum: number
  /** Divides by the standard deviation of the gradient instead of its root mean square. */
  readonly centered: boolean
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'RMSprop',
  defaults: { lr: 1e-2, alpha: 0.99, eps: 1e-8, weightDecay: 0, momentum: 0, centered: false, maximize: false } as RMSpropOptions,
  structure: ({ weightDecay, momentum, centered, maximize }) => ({
    decay: weightDecay !== 0,
    momentum: momentum !== 0,
    centered,
    maximize,
  }),
  states: ({ momentum, centered }) => ({ squareAvg: 0, ...(centered && { gradAvg: 0 }), ...(momentum !== 0 && { momentumBuffer: 0 }) }),
  numbers: ({ lr, alpha, eps, weightDecay, momentum }) => ({ lr, alpha, share: 1 - alpha, eps, weightDecay, momentum }),
  code(k, values, n, structure) {
    const grad = descentOf(k, values, structure, n.weightDecay)
    const squareAvg = averageSquare(k, values.squareAvg, grad, n.alpha, n.share)
    const gradAvg = structure.centered ? lerp(k, values.gradAvg, grad, n.share) : undefined
    const variance = gradAvg === undefined ? squareAvg : k.sub(squareAvg, k.mul(gradAvg, gradAvg))
    const direction = k.div(grad, k.add(k.sqrt(variance), n.eps))
    const momentumBuffer = structure.momentum ? k.add(k.mul(n.momentum, values.momentumBuffer), direction) : undefined
    return {
      param: k.sub(values.param, k.mul(n.lr, momentumBuffer ?? direction)),
      squareAvg,
      ...(gradAvg !== undefined && { gradAvg }),
      ...(momentumBuffer !== undefined && { momentumBuffer }),
    }
  },
})

/** RMSprop (Tieleman & Hinton 2012, lecture 6e of "Neural networks for machine learning"); centred as in Graves 2013 (https://arxiv.org/abs/1308.0850). */
export class RMSprop extends Optimizer<RMSpropOptions> {
  constructor(params: Params<RMSpropOptions>, options: Partial<RMSpropOptions> = {}) {
    super(rule, params, options)
  }
}
