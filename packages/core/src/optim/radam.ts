import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { averageSquare, descentOf, kernelRule, lerp } from './update-rule.ts'

export interface RAdamOptions extends OptimizerOptions {
  /** Decay rates of the moving averages of the gradient and of its square. */
  readonly betas: readonly [number, number]
  readonly eps: number
  readonly weightDecay: number
  /** Weight decay shrinks the parameter, as AdamW's does, instead of being an L2 penalty. */
  readonly decoupledWeightDecay: boolean
  readonly maximize: boolean
}

const rule = /* @__PURE__ */ kernelRule({
  name: 'RAdam',
  defaults: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, decoupledWeightDecay: false, maximize: false } as RAdamOptions,
  structure: ({ weightDecay, decoupledWeightDecay, maximize }) => ({ decay: weightDecay !== 0, decoupled: decoupledWeightDecay, maximize }),
  states: () => ({ expAvg: 0, expAvgSq: 0 }),
  numbers({ lr, betas: [b1, b2], eps, weightDecay }, { step }) {
    const correction = 1 - b2 ** step
    // How many gradients the average of squares stands for: in the limit, and now.
    const limit = 2 / (1 - b2) - 1
    const length = limit - (2 * step * b2 ** step) / correction
    const rectified = length > 5
    const rectification = Math.sqrt(((length - 4) * (length - 2) * limit) / ((limit - 4) * (limit - 2) * length))
    return {
      average: 1 - b1,
      decay: b2,
      share: 1 - b2,
      stepSize: lr / (1 - b1 ** step),
      // 0 while the variance of the adaptive step is too large to use it.
      adaptive: rectified ? rectification * Math.sqrt(correction) : 0,
      eps,
      weightDecay,
      shrink: 1 - lr * weightDecay,
    }
  },
  code(k, values, n, { decay, decoupled, maximize }) {
    const grad = descentOf(k, values, { maximize, decay: decay && !decoupled }, n.weightDecay)
    const param = decay && decoupled ? k.mul(values.param, n.shrink) : values.param
    const expAvg = lerp(k, values.expAvg, grad, n.average)
    const expAvgSq = averageSquare(k, values.expAvgSq, grad, n.decay, n.share)
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
