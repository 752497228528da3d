import type { DType } from '../dtype.ts'
import { rule as adadelta } from './adadelta.ts'
import { rule as adafactor } from './adafactor.ts'
import { rule as adagrad } from './adagrad.ts'
import { rule as adam } from './adam.ts'
import { rule as adamax } from './adamax.ts'
import { rule as adamw } from './adamw.ts'
import { rule as lamb } from './lamb.ts'
import { rule as lion } from './lion.ts'
import { rule as nadam } from './nadam.ts'
import { completeOptions } from './options.ts'
import { rule as radam } from './radam.ts'
import { rule as rmsprop } from './rmsprop.ts'
import { rule as sgd } from './sgd.ts'
import type { ParamState, UpdateRule } from './update-rule.ts'

/** The part of a rule that runs on the host. */
interface LiveRule {
  readonly defaults: object
  /** Options with defaults for those that are not given; see `completeOptions`. */
  complete(given: object): object
  numbers(options: object, state: ParamState, dtype: DType): { readonly [name: string]: number }
}

/** The rule of an optimiser by its name, for programs that were saved without its code. */
export function liveRule(name: string): LiveRule | undefined {
  const rules = [
    adadelta,
    adafactor,
    adagrad,
    adam,
    adamax,
    adamw,
    lamb,
    lion,
    nadam,
    radam,
    rmsprop,
    sgd,
  ] as unknown as UpdateRule<object>[]
  const rule = rules.find((x) => x.name === name)
  if (!rule?.numbers) return undefined
  return {
    defaults: rule.defaults,
    complete(given) {
      const options = completeOptions(rule.name, rule.defaults, given, rule.limits)
      rule.check?.(options)
      return options
    },
    numbers: rule.numbers.bind(rule),
  }
}
