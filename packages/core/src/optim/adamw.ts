import { type AdamOptions, adamRule } from './adam.ts'
import { Optimizer } from './optimizer.ts'
import type { Params } from './params.ts'

/** As Adam's; `weightDecay` (default 0.01) times the learning rate is the share by which a parameter shrinks at each step. */
export interface AdamWOptions extends AdamOptions {}

export const rule = /* @__PURE__ */ adamRule(
  'AdamW',
  { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weightDecay: 1e-2, amsgrad: false, maximize: false },
  true,
)

/** Adam with decoupled weight decay (Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101). */
export class AdamW extends Optimizer<AdamWOptions> {
  constructor(params: Params<AdamWOptions>, options: Partial<AdamWOptions> = {}) {
    super(rule, params, options)
  }
}
