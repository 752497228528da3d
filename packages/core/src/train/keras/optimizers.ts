import type { Module } from '../../nn/module.ts'
import { Adadelta } from '../../optim/adadelta.ts'
import { Adafactor } from '../../optim/adafactor.ts'
import { Adagrad } from '../../optim/adagrad.ts'
import { Adam } from '../../optim/adam.ts'
import { Adamax } from '../../optim/adamax.ts'
import { AdamW } from '../../optim/adamw.ts'
import { LAMB } from '../../optim/lamb.ts'
import { Lion } from '../../optim/lion.ts'
import { NAdam } from '../../optim/nadam.ts'
import type { Optimizer } from '../../optim/optimizer.ts'
import { RAdam } from '../../optim/radam.ts'
import { RMSprop } from '../../optim/rmsprop.ts'
import { SGD } from '../../optim/sgd.ts'

export type OptimizerMaker = (model: Module, lr?: number) => Optimizer

/** Optimisers by name, with the learning rates that Keras gives them. */
export const optimizers: Readonly<Record<string, OptimizerMaker>> = {
  sgd: (model, lr = 0.01) => new SGD(model, { lr }),
  adam: (model, lr = 1e-3) => new Adam(model, { lr }),
  adamW: (model, lr = 1e-3) => new AdamW(model, { lr }),
  adamax: (model, lr = 1e-3) => new Adamax(model, { lr }),
  nadam: (model, lr = 1e-3) => new NAdam(model, { lr }),
  radam: (model, lr = 1e-3) => new RAdam(model, { lr }),
  rmsprop: (model, lr = 1e-3) => new RMSprop(model, { lr }),
  adagrad: (model, lr = 1e-3) => new Adagrad(model, { lr }),
  adadelta: (model, lr = 1e-3) => new Adadelta(model, { lr }),
  adafactor: (model, lr = 1e-3) => new Adafactor(model, { lr }),
  lamb: (model, lr = 1e-3) => new LAMB(model, { lr }),
  lion: (model, lr = 1e-4) => new Lion(model, { lr }),
}
