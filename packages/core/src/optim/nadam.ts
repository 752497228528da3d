import { type MomentOptions, momentNumbers, moments } from './moments.ts'
import { Optimizer } from './optimizer.ts'
import type { Params } from './params.ts'
import { kernelRule } from './update-rule.ts'

export interface NAdamOptions extends MomentOptions {
  /** How fast the momentum grows to the first beta. */
  readonly momentumDecay: number
  /** Weight decay shrinks the parameter, as AdamW's does, instead of being an L2 penalty. */
  readonly decoupledWeightDecay: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'NAdam',
  defaults: {
    lr: 2e-3,
    betas: [0.9, 0.999],
    eps: 1e-8,
    weightDecay: 0,
    momentumDecay: 4e-3,
    decoupledWeightDecay: false,
    maximize: false,
  } as NAdamOptions,
  structure: ({ weightDecay, decoupledWeightDecay, maximize }) => ({ decay: weightDecay !== 0, decoupled: decoupledWeightDecay, maximize }),
  states: () => ({ expAvg: 0, expAvgSq: 0 }),
  memory: { muProduct: 1 },
  numbers(options, state) {
    const {
      lr,
      betas: [b1, b2],
      momentumDecay,
    } = options
    const momentum = (step: number) => b1 * (1 - 0.5 * 0.96 ** (step * momentumDecay))
    const now = momentum(state.step)
    const next = momentum(state.step + 1)
    const product = (state.muProduct as number) * now
    state.muProduct = product
    return {
      ...momentNumbers(options),
      correction: 1 - b2 ** state.step,
      gradStep: (lr * (1 - now)) / (1 - product),
      averageStep: (lr * next) / (1 - product * next),
    }
  },
  code(k, values, n, structure) {
    const { grad, param, expAvg, expAvgSq } = moments(k, values, n, structure)
    const scale = k.add(k.sqrt(k.div(expAvgSq, n.correction)), n.eps)
    const ahead = k.add(k.mul(n.gradStep, grad), k.mul(n.averageStep, expAvg))
    return { param: k.sub(param, k.div(ahead, scale)), expAvg, expAvgSq }
  },
})

/** Adam with Nesterov momentum (Dozat 2016, https://openreview.net/forum?id=OM0jvwB8jIp57ZJjtNEZ). */
export class NAdam extends Optimizer<NAdamOptions> {
  constructor(params: Params<NAdamOptions>, options: Partial<NAdamOptions> = {}) {
    super(rule, params, options)
  }
}
