import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { descentOf, kernelRule } from './update-rule.ts'

/** What the sum of squares of Adagrad begins with, and how its rate decays. */
export interface AdagradOptions extends OptimizerOptions {
  /** The learning rate at step t is `lr / (1 + (t - 1) · lrDecay)`. */
  readonly lrDecay: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** What the sum of squares begins with. */
  readonly initialAccumulatorValue: number
  /** Added to the denominator. */
  readonly eps: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'Adagrad',
  defaults: { lr: 1e-2, lrDecay: 0, weightDecay: 0, initialAccumulatorValue: 0, eps: 1e-10, maximize: false } as AdagradOptions,
  structure: ({ weightDecay, maximize }) => ({ decay: weightDecay !== 0, maximize }),
  states: ({ initialAccumulatorValue }) => ({ sum: initialAccumulatorValue }),
  numbers: ({ lr, lrDecay, weightDecay, eps }, { step }) => ({ lr: lr / (1 + (step - 1) * lrDecay), weightDecay, eps }),
  code(k, values, n, structure) {
    const grad = descentOf(k, values, structure, n.weightDecay)
    const sum = k.add(values.sum, k.mul(grad, grad))
    return { param: k.sub(values.param, k.div(k.mul(n.lr, grad), k.add(k.sqrt(sum), n.eps))), sum }
  },
})

/** Adagrad (Duchi et al. 2011, https://jmlr.org/papers/v12/duchi11a.html). */
export class Adagrad extends Optimizer<AdagradOptions> {
  constructor(params: Params<AdagradOptions>, options: Partial<AdagradOptions> = {}) {
    super(rule, params, options)
  }
}
