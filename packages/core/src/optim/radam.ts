import { type MomentOptions, momentNumbers, moments } from './moments.ts'
import { Optimizer } from './optimizer.ts'
import type { Params } from './params.ts'
import { kernelRule } from './update-rule.ts'

export interface RAdamOptions extends MomentOptions {
  /** Weight decay shrinks the parameter, as AdamW's does, instead of being an L2 penalty. */
  readonly decoupledWeightDecay: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'RAdam',
  defaults: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false, maximize: false } as RAdamOptions,
  structure: ({ weightDecay, decoupledWeightDecay, maximize }) => ({ decay: weightDecay !== 0, decoupled: decoupledWeightDecay, maximize }),
  states: () => ({ expAvg: 0, expAvgSq: 0 }),
  numbers(options, { step }) {
    const {
      lr,
      betas: [b1, b2],
    } = options
    const correction = 1 - b2 ** step
    // How many gradients the average of squares stands for: in the limit, and now.
    const limit = 2 / (1 - b2) - 1
    const length = limit - (2 * step * b2 ** step) / correction
    const rectified = length > 5
    const rectification = Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length))
    return {
      ...momentNumbers(options),
      stepSize: lr / (1 - b1 ** step),
      // 0 while the variance of the adaptive step is too large to use it.
      adaptive: rectified ? rectification * Math.sqrt(correction) : 0,
    }
  },
  code(k, values, n, structure) {
    const { grad, param, expAvg, expAvgSq } = moments(k, values, n, structure)
    const isAdaptive = k.gt(n.adaptive, k.like(grad, 0))
    const scale = k.select(isAdaptive, k.div(n.adaptive, k.add(k.sqrt(expAvgSq), n.eps)), k.like(grad, 1))
    return { param: k.sub(param, k.mul(k.mul(n.stepSize, expAvg), scale)), expAvg, expAvgSq }
  },
})

/** Adam with a rectified variance, which needs no warm-up (Liu et al. 2020, https://arxiv.org/abs/1908.03265). */
export class RAdam extends Optimizer<RAdamOptions> {
  constructor(params: Params<RAdamOptions>, options: Partial<RAdamOptions> = {}) {
    super(rule, params, options)
  }
}
