import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { kernelRule, lerp } from './update-rule.ts'

/** Decay rates and weight decay of Lion. Its steps are signs: take a smaller learning rate than for AdamW. */
export interface LionOptions extends OptimizerOptions {
  /** How much of the momentum enters the step's direction, and how much of it is kept. */
  readonly betas: readonly [number, number]
  /** Times the learning rate: the share by which a parameter shrinks at each step. */
  readonly weightDecay: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'Lion',
  defaults: { lr: 1e-4, betas: [0.9, 0.99], weightDecay: 0, maximize: false } as LionOptions,
  structure: ({ weightDecay, maximize }) => ({ decay: weightDecay !== 0, maximize }),
  states: () => ({ expAvg: 0 }),
  numbers: ({ lr, betas: [b1, b2], weightDecay }) => ({ lr, ahead: 1 - b1, average: 1 - b2, shrink: 1 - lr * weightDecay }),
  code(k, values, n, { decay, maximize }) {
    const grad = maximize ? k.neg(values.grad) : values.grad
    const param = decay ? k.mul(values.param, n.shrink) : values.param
    const direction = lerp(k, values.expAvg, grad, n.ahead)
    const none = k.like(direction, 0)
    const lower = k.sub(param, n.lr)
    const raised = k.select(k.lt(direction, none), k.add(param, n.lr), k.add(param, direction))
    return { param: k.select(k.gt(direction, none), lower, raised), expAvg: lerp(k, values.expAvg, grad, n.average) }
  },
})

/** Lion, which steps by the sign of the momentum (Chen et al. 2023, https://arxiv.org/abs/2302.06675, algorithm 2). */
export class Lion extends Optimizer<LionOptions> {
  constructor(params: Params<LionOptions>, options: Partial<LionOptions> = {}) {
    super(rule, params, options)
  }
}
