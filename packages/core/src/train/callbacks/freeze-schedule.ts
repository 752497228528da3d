import { CotangentError } from '../../errors.ts'
import { didYouMean } from '../../near-names.ts'
import { Module } from '../../nn/module.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** A part of a model, and how long it stays frozen. */
export interface FreezeStage {
  /** The part that is frozen, itself or by its name in the model. */
  readonly module: Module | string
  /** Epochs (from 0) at whose beginning it is thawed; never, if there is none. */
  readonly until?: number
}

/** Freezes parts of a model, and thaws each at the beginning of an epoch: `new FreezeSchedule([{ module: model.backbone, until: 2 }])`. */
export class FreezeSchedule implements Callback {
  readonly #stages: readonly FreezeStage[]

  constructor(stages: readonly FreezeStage[]) {
    this.#stages = stages
  }

  /** @throws {CotangentError} `invalid-argument` for a name that no part has. */
  onEpochStart(training: Training): void {
    for (const { module, until = Number.POSITIVE_INFINITY } of this.#stages) {
      const part = partOf(training.model, module)
      if (training.epoch < until) part.freeze()
      else part.unfreeze()
    }
  }
}

function partOf(model: Module, part: Module | string): Module {
  if (part instanceof Module) return part
  const found = model.namedModules()
  const module = found.get(part)
  if (module) return module
  throw new CotangentError('invalid-argument', {
    op: 'FreezeSchedule',
    message: `no part of the model is called ${part}`,
    hint: `${didYouMean(part, [...found.keys()])}There are ${[...found.keys()].filter(Boolean).slice(0, 20).join(', ')}.`,
  })
}
