import { type MomentOptions, momentNumbers, moments } from './moments.ts'
import { Optimizer } from './optimizer.ts'
import type { Params } from './params.ts'
import type { KernelRule, UpdateRule } from './update-rule.ts'
import { kernelRule } from './update-rule.ts'

export interface AdamOptions extends MomentOptions {
  /** Divides by the largest average of squares so far (Reddi et al. 2018). */
  readonly amsgrad: boolean
}

type AdamState = 'expAvg' | 'expAvgSq' | 'maxExpAvgSq'
type AdamNumbers = keyof ReturnType<typeof momentNumbers> | 'stepSize' | 'correction'

/** Adam's rule; `decoupled` weight decay shrinks the parameter instead of entering the averages. */
export function adamRule(name: string, defaults: AdamOptions, decoupled: boolean): UpdateRule<AdamOptions> {
  const rule: KernelRule<AdamOptions, AdamState, AdamNumbers, { decay: boolean; amsgrad: boolean; maximize: boolean }> = {
    name,
    defaults,
    structure: ({ weightDecay, amsgrad, maximize }) => ({ decay: weightDecay !== 0, amsgrad, maximize }),
    states: ({ amsgrad }) => ({ expAvg: 0, expAvgSq: 0, ...(amsgrad && { maxExpAvgSq: 0 }) }),
    numbers: (options, { step }) => ({
      ...momentNumbers(options),
      stepSize: options.lr / (1 - options.betas[0] ** step),
      correction: Math.sqrt(1 - options.betas[1] ** step),
    }),
    code(k, values, n, { decay, amsgrad, maximize }) {
      const { param, expAvg, expAvgSq } = moments(k, values, n, { decay, decoupled, maximize })
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

export const rule = /* @__PURE__ */ adamRule(
  'Adam',
  { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 0, amsgrad: false, maximize: false },
  false,
)

/** Adam (Kingma & Ba 2015, https://arxiv.org/abs/1412.6980), with weight decay as an L2 penalty; see `AdamW`. */
export class Adam extends Optimizer<AdamOptions> {
  constructor(params: Params<AdamOptions>, options: Partial<AdamOptions> = {}) {
    super(rule, params, options)
  }
}
