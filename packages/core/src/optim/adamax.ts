import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { descentOf, kernelRule, lerp } from './update-rule.ts'

/** Decay rates and weight decay of Adamax. */
export interface AdamaxOptions extends OptimizerOptions {
  /** Decay rates of the moving average of the gradient and of its largest magnitude. */
  readonly betas: readonly [number, number]
  /** Added to the magnitude of the gradient. */
  readonly eps: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'Adamax',
  defaults: { lr: 2e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, maximize: false } as AdamaxOptions,
  structure: ({ weightDecay, maximize }) => ({ decay: weightDecay !== 0, maximize }),
  states: () => ({ expAvg: 0, expInf: 0 }),
  numbers: ({ lr, betas: [b1, b2], eps, weightDecay }, { step }) => ({
    average: 1 - b1,
    decay: b2,
    eps,
    weightDecay,
    stepSize: lr / (1 - b1 ** step),
  }),
  code(k, values, n, structure) {
    const grad = descentOf(k, values, structure, n.weightDecay)
    const expAvg = lerp(k, values.expAvg, grad, n.average)
    const expInf = k.max(k.mul(values.expInf, n.decay), k.add(k.abs(grad), n.eps))
    return { param: k.sub(values.param, k.div(k.mul(n.stepSize, expAvg), expInf)), expAvg, expInf }
  },
})

/** Adam with the infinity norm instead of squares (Kingma & Ba 2015, section 7.1, https://arxiv.org/abs/1412.6980). */
export class Adamax extends Optimizer<AdamaxOptions> {
  constructor(params: Params<AdamaxOptions>, options: Partial<AdamaxOptions> = {}) {
    super(rule, params, options)
  }
}
