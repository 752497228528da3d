import { CotangentError } from '../errors.ts'
import { Optimizer, type OptimizerOptions } from './optimizer.ts'
import type { Params } from './params.ts'
import { descentOf, kernelRule } from './update-rule.ts'

export interface SGDOptions extends OptimizerOptions {
  /** Share of the last step that is kept. */
  readonly momentum: number
  /** How much less of the gradient enters the momentum. */
  readonly dampening: number
  /** L2 penalty. */
  readonly weightDecay: number
  /** Looks ahead along the momentum. */
  readonly nesterov: boolean
  /** Steps up the gradient instead of down. */
  readonly maximize: boolean
}

export const rule = /* @__PURE__ */ kernelRule({
  name: 'SGD',
  defaults: { lr: 1e-3, momentum: 0, dampening: 0, weightDecay: 0, nesterov: false, maximize: false } as SGDOptions,
  limits: { dampening: [-Infinity, Infinity] },
  check({ nesterov, momentum, dampening }) {
    if (nesterov && (momentum === 0 || dampening !== 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'SGD',
        message: 'Nesterov momentum needs a momentum and no dampening',
        hint: 'Set { momentum: 0.9, dampening: 0 }.',
      })
    }
  },
  structure: ({ momentum, weightDecay, nesterov, maximize }) => ({
    momentum: momentum !== 0,
    decay: weightDecay !== 0,
    nesterov,
    maximize,
  }),
  states: ({ momentum }) => (momentum === 0 ? {} : { momentumBuffer: 0 }),
  // The first gradient enters the momentum undampened.
  numbers: ({ lr, momentum, dampening, weightDecay }, state) => ({
    lr,
    momentum,
    fresh: dampening !== 0 && state.step === 1 ? 1 : 1 - dampening,
    weightDecay,
  }),
  code(k, values, { lr, momentum, fresh, weightDecay }, structure) {
    const direction = descentOf(k, values, structure, weightDecay)
    if (!structure.momentum) return { param: k.sub(values.param, k.mul(lr, direction)) }
    const momentumBuffer = k.add(k.mul(momentum, values.momentumBuffer), k.mul(fresh, direction))
    const along = structure.nesterov ? k.add(direction, k.mul(momentum, momentumBuffer)) : momentumBuffer
    return { param: k.sub(values.param, k.mul(lr, along)), momentumBuffer }
  },
})

/** Stochastic gradient descent, with momentum (Polyak) or Nesterov's accelerated gradient in PyTorch's form (Sutskever et al. 2013). */
export class SGD extends Optimizer<SGDOptions> {
  constructor(params: Params<SGDOptions>, options: Partial<SGDOptions> = {}) {
    super(rule, params, options)
  }
}
