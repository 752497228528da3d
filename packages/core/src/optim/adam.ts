import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import type { KernelRule, UpdateRule } from './update-rule.ts'
import { averageSquare, descentOf, kernelRule, lerp } from './update-rule.ts'

export interface AdamOptions extends OptimizerOptions {
  /** Decay rates of the moving averages of the gradient and of its square. */
  readonly betas: readonly [number, number]
  /** Added to the denominator. */
  readonly eps: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** Divides by the largest average of squares so far (Reddi et al. 2018). */
  readonly amsgrad: boolean
  readonly maximize: boolean
}

type AdamState = 'expAvg' | 'expAvgSq' | 'maxExpAvgSq'
type AdamNumbers = 'average' | 'decay' | 'share' | 'stepSize' | 'correction' | 'eps' | 'weightDecay' | 'shrink'

/** Adam's rule; `decoupled` weight decay shrinks the parameter instead of entering the averages. */
export function adamRule(name: string, defaults: AdamOptions, decoupled: boolean): UpdateRule<AdamOptions> {
  const rule: KernelRule<AdamOptions, AdamState, AdamNumbers, { decay: boolean; amsgrad: boolean; maximize: boolean }> = {
    name,
    defaults,
    structure: ({ weightDecay, amsgrad, maximize }) => ({ decay: weightDecay !== 0, amsgrad, maximize }),
    states: ({ amsgrad }) => ({ expAvg: 0, expAvgSq: 0, ...(amsgrad && { maxExpAvgSq: 0 }) }),
    numbers: ({ lr, betas: [b1, b2], eps, weightDecay }, { step }) => ({
      average: 1 - b1,
      decay: b2,
      share: 1 - b2,
      stepSize: lr / (1 - b1 ** step),
      correction: Math.sqrt(1 - b2 ** step),
      eps,
      weightDecay,
      shrink: 1 - lr * weightDecay,
    }),
    code(k, values, n, { decay, amsgrad, maximize }) {
      const grad = descentOf(k, values, { maximize, decay: decay && !decoupled }, n.weightDecay)
      const param = decay && decoupled ? k.mul(values.param, n.shrink) : values.param
      const expAvg = lerp(k, values.expAvg, grad, n.average)
      const expAvgSq = averageSquare(k, values.expAvgSq, grad, n.decay, n.share)
      const maxExpAvgSq = amsgrad ? k.max(values.maxExpAvgSq, expAvgSq) : undefined
      const scale = k.add(k.div(k.sqrt(maxExpAvgSq ?? expAvgSq), n.correction), n.eps)
      return {
        param: k.sub(param, k.div(k.mul(n.stepSize, expAvg), scale)),
        expAvg,
        expAvgSq,
        ...(maxExpAvgSq !== undefined && { maxExpAvgSq }),
      }
    },
  }
  return kernelRule(rule)
}

const rule = /* @__PURE__ */ adamRule('Adam', { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false }, false)

/** Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980), with weight decay as an L2 penalty; see `AdamW`. */
export class Adam extends Optimizer<AdamOptions> {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(rule, params, options)
  }
}
