import type { Module } from '../../nn/module.ts'
import { noGrad } from '../../tensor/modes.ts'
import { keep } from '../../tensor/scope.ts'
import type { Tensor } from '../../tensor/tensor.ts'

/** A second place for the parameters and buffers of a model. */
export class WeightsCopy {
  readonly #pairs: readonly { readonly name: string; readonly own: Tensor; readonly copy: Tensor }[]

  constructor(model: Module) {
    const tensors = [...model.namedParameters(), ...model.namedBuffers()] as readonly (readonly [string, Tensor])[]
    this.#pairs = noGrad(() => tensors.map(([name, own]) => ({ name, own, copy: keep(own.detach().clone()) })))
  }

  /** Takes what the model has now. */
  take(): void {
    noGrad(() => this.#pairs.forEach(({ own, copy }) => copy.assign(own.detach())))
  }

  /** Gives the model what was taken. */
  restore(): void {
    noGrad(() => this.#pairs.forEach(({ own, copy }) => own.assign(copy)))
  }

  /** Exchanges what the model has with what is here. */
  swap(): void {
    noGrad(() => {
      for (const { own, copy } of this.#pairs) {
        const held = own.detach().clone()
        own.assign(copy)
        copy.assign(held)
        held.dispose()
      }
    })
  }

  /** Changes the copies, one after the other. */
  update(change: (copy: Tensor, own: Tensor) => Tensor): void {
    noGrad(() => this.#pairs.forEach(({ own, copy }) => copy.assign(change(copy, own.detach()))))
  }

  dispose(): void {
    for (const { copy } of this.#pairs) copy.dispose()
  }

  stateDict(): Record<string, Tensor> {
    return Object.fromEntries(this.#pairs.map(({ name, copy }) => [name, copy]))
  }

  loadStateDict(state: Readonly<Record<string, Tensor>>): void {
    noGrad(() => {
      for (const { name, copy } of this.#pairs) if (state[name]) copy.assign(state[name])
    })
  }
}
