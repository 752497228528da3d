import type { MomentOptions } from './moments.ts'
import { Optimizer } from './optimizer.ts'
import type { Params } from './params.ts'
import { averageSquare, kernelRule, lerp } from './update-rule.ts'

/** Decay rates and weight decay of LAMB, and whether steps are scaled by the parameter's norm. */
export interface LAMBOptions extends MomentOptions {
  /** Scales steps by the parameter's norm. Biases and the parameters of normalisation layers usually do without. */
  readonly adapt: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'LAMB',
  defaults: { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-6, weightDecay: 1e-2, adapt: true, maximize: false } as LAMBOptions,
  structure: ({ weightDecay, adapt, maximize }) => ({ decay: weightDecay !== 0, adapt, maximize }),
  states: () => ({ expAvg: 0, expAvgSq: 0 }),
  numbers: ({ lr, betas: [b1, b2], eps, weightDecay }, { step }) => ({
    lr,
    average: 1 - b1,
    decay: b2,
    share: 1 - b2,
    firstCorrection: 1 - b1 ** step,
    secondCorrection: 1 - b2 ** step,
    eps,
    weightDecay,
  }),
  reduces: true,
  code(k, values, n, { decay, adapt, maximize }) {
    const { param } = values
    const grad = maximize ? k.neg(values.grad) : values.grad
    const expAvg = lerp(k, values.expAvg, grad, n.average)
    const expAvgSq = averageSquare(k, values.expAvgSq, grad, n.decay, n.share)
    const adam = k.div(k.div(expAvg, n.firstCorrection), k.add(k.sqrt(k.div(expAvgSq, n.secondCorrection)), n.eps))
    const direction = decay ? k.add(adam, k.mul(n.weightDecay, param)) : adam
    if (!adapt) return { param: k.sub(param, k.mul(n.lr, direction)), expAvg, expAvgSq }
    const paramSize = k.sqrt(k.reduce('sum', k.mul(param, param)))
    const stepSize = k.sqrt(k.reduce('sum', k.mul(direction, direction)))
    const none = k.like(paramSize, 0)
    const trust = k.select(k.and(k.gt(paramSize, none), k.gt(stepSize, none)), k.div(paramSize, stepSize), k.like(paramSize, 1))
    return { param: k.sub(param, k.mul(k.mul(n.lr, trust), direction)), expAvg, expAvgSq }
  },
})

/** LAMB: Adam's steps, scaled layer by layer to the norm of the parameter (You et al. 2020, https://arxiv.org/abs/1904.00962, algorithm 2 with φ(z) = z). */
export class LAMB extends Optimizer<LAMBOptions> {
  constructor(params: Params<LAMBOptions>, options: Partial<LAMBOptions> = {}) {
    super(rule, params, options)
  }
}
