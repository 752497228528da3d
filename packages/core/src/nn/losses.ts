import * as op from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { describeOptions } from './describe.ts'
import { Module } from './module.ts'

/** A loss of fixed options as a module. */
export interface Loss<Inputs extends readonly Tensor[]> extends Module {
  forward(...inputs: Inputs): Tensor
}

type LossOp<Inputs extends readonly Tensor[], Options> = (...args: [...Inputs, options?: Options]) => Tensor

const loss = <Inputs extends readonly Tensor[], Options extends object>(f: LossOp<Inputs, Options>): { new (options?: Options): Loss<Inputs> } =>
  class extends Module {
    readonly #options: Options

    constructor(options: Options = {} as Options) {
      super()
      this.#options = options
    }

    forward(...inputs: Inputs): Tensor {
      return f(...inputs, this.#options)
    }

    override describe(): string {
      return describeOptions(this.#options)
    }
  }

type Pair = [input: Tensor, target: Tensor]

/** `crossEntropy` of logits `[..., classes]` with class indices `[...]` or probabilities `[..., classes]`. */
export class CrossEntropyLoss extends loss<Pair, op.CrossEntropyOptions>(op.crossEntropy) {}
/** `nllLoss` of log-probabilities `[..., classes]` with class indices `[...]`. */
export class NLLLoss extends loss<Pair, op.NllOptions>(op.nllLoss) {}
