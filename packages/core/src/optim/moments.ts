import type { KernelBuilder, Value } from '../engine/kernel.ts'
import type { OptimizerOptions } from './optimizer.ts'
import { averageSquare, descentOf, lerp } from './update-rule.ts'

/** The options of Adam and its relatives. */
export interface MomentOptions extends OptimizerOptions {
  /** Decay rates of the moving averages of the gradient and of its square. */
  readonly betas: readonly [number, number]
  /** Added to the denominator. */
  readonly eps: number
  /** L2 penalty, or, where decoupled, times the learning rate the share by which a parameter shrinks at each step. */
  readonly weightDecay: number
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

/** The numbers that `moments` needs. */
export const momentNumbers = ({ lr, betas: [b1, b2], eps, weightDecay }: MomentOptions) => ({
  average: 1 - b1,
  decay: b2,
  share: 1 - b2,
  eps,
  weightDecay,
  shrink: 1 - lr * weightDecay,
})

type Numbers = ReturnType<typeof momentNumbers>

/** The decayed parameter, the direction, and the new moving averages of the direction and of its square. */
export function moments(
  k: KernelBuilder,
  values: { readonly [name in 'param' | 'grad' | 'expAvg' | 'expAvgSq']: Value },
  n: { readonly [name in keyof Numbers]: Value },
  { decay, decoupled, maximize }: { readonly decay: boolean; readonly decoupled: boolean; readonly maximize: boolean },
) {
  const grad = descentOf(k, values, { maximize, decay: decay && !decoupled }, n.weightDecay)
  return {
    grad,
    param: decay && decoupled ? k.mul(values.param, n.shrink) : values.param,
    expAvg: lerp(k, values.expAvg, grad, n.average),
    expAvgSq: averageSquare(k, values.expAvgSq, grad, n.decay, n.share),
  }
}
