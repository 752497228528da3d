import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { averageSquare, descentOf, kernelRule } from './update-rule.ts'

/** How Adadelta averages squares of gradients and steps. */
export interface AdadeltaOptions extends OptimizerOptions {
  /** Decay rate of the moving averages. */
  readonly rho: number
  /** Added to the denominator. */
  readonly eps: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'Adadelta',
  defaults: { lr: 1, rho: 0.9, eps: 1e-6, weightDecay: 0, maximize: false } as AdadeltaOptions,
  limits: { rho: [0, 1] },
  structure: ({ weightDecay, maximize }) => ({ decay: weightDecay !== 0, maximize }),
  states: () => ({ squareAvg: 0, accDelta: 0 }),
  numbers: ({ lr, rho, eps, weightDecay }) => ({ lr, rho, share: 1 - rho, eps, weightDecay }),
  code(k, values, n, structure) {
    const grad = descentOf(k, values, structure, n.weightDecay)
    const squareAvg = averageSquare(k, values.squareAvg, grad, n.rho, n.share)
    const delta = k.mul(k.div(k.sqrt(k.add(values.accDelta, n.eps)), k.sqrt(k.add(squareAvg, n.eps))), grad)
    const accDelta = averageSquare(k, values.accDelta, delta, n.rho, n.share)
    return { param: k.sub(values.param, k.mul(n.lr, delta)), squareAvg, accDelta }
  },
})

/** Adadelta (Zeiler 2012, https://arxiv.org/abs/1212.5701). */
export class Adadelta extends Optimizer<AdadeltaOptions> {
  constructor(params: Params<AdadeltaOptions>, options: Partial<AdadeltaOptions> = {}) {
    super(rule, params, options)
  }
}
