import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../optimizer.ts'
import { ChainedScheduler } from './chained-scheduler.ts'
import { ConstantLR } from './constant-lr.ts'
import { CosineAnnealingLR } from './cosine-annealing-lr.ts'
import { CosineAnnealingWarmRestarts } from './cosine-annealing-warm-restarts.ts'
import { CyclicLR } from './cyclic-lr.ts'
import { ExponentialLR } from './exponential-lr.ts'
import { LambdaLR } from './lambda-lr.ts'
import { LinearLR } from './linear-lr.ts'
import { MultiStepLR } from './multi-step-lr.ts'
import { MultiplicativeLR } from './multiplicative-lr.ts'
import { OneCycleLR } from './one-cycle-lr.ts'
import { PolynomialLR } from './polynomial-lr.ts'
import type { Scheduler, SchedulerState } from './scheduler.ts'
import { SequentialLR } from './sequential-lr.ts'
import { StepLR } from './step-lr.ts'

/** A scheduler as plain data: what makes it again, and how far it has come. */
export interface SavedScheduler {
  readonly kind: string
  readonly options: Readonly<Record<string, OptionData>>
  readonly state: SchedulerState
  /** Those within. */
  readonly schedulers?: readonly SavedScheduler[]
}

type OptionData = number | boolean | string | readonly number[]

type OptionKind = 'number' | 'boolean' | 'text' | 'numbers' | 'perGroup'

interface Entry {
  readonly type: abstract new (...args: never[]) => Scheduler
  readonly options: Readonly<Record<string, OptionKind>>
  /** Options without a default. */
  readonly required?: readonly string[]
  readonly make: (optimizer: Optimizer, options: never, inner: readonly Scheduler[]) => Scheduler
}

const entries: Readonly<Record<string, Entry>> = {
  ConstantLR: {
    type: ConstantLR,
    options: { factor: 'number', totalIters: 'number' },
    make: (optimizer, options) => new ConstantLR(optimizer, options),
  },
  CosineAnnealingLR: {
    type: CosineAnnealingLR,
    options: { tMax: 'number', etaMin: 'number' },
    required: ['tMax'],
    make: (optimizer, options) => new CosineAnnealingLR(optimizer, options),
  },
  CosineAnnealingWarmRestarts: {
    type: CosineAnnealingWarmRestarts,
    options: { t0: 'number', tMult: 'number', etaMin: 'number' },
    required: ['t0'],
    make: (optimizer, options) => new CosineAnnealingWarmRestarts(optimizer, options),
  },
  CyclicLR: {
    type: CyclicLR,
    options: {
      maxLr: 'perGroup',
      cycleMomentum: 'boolean',
      baseMomentum: 'perGroup',
      maxMomentum: 'perGroup',
      baseLr: 'perGroup',
      stepSizeUp: 'number',
      stepSizeDown: 'number',
      mode: 'text',
      gamma: 'number',
      scaleMode: 'text',
    },
    required: ['baseLr', 'maxLr'],
    make: (optimizer, options) => new CyclicLR(optimizer, options),
  },
  ExponentialLR: {
    type: ExponentialLR,
    options: { gamma: 'number' },
    required: ['gamma'],
    make: (optimizer, options) => new ExponentialLR(optimizer, options),
  },
  LinearLR: {
    type: LinearLR,
    options: { startFactor: 'number', endFactor: 'number', totalIters: 'number' },
    make: (optimizer, options) => new LinearLR(optimizer, options),
  },
  MultiStepLR: {
    type: MultiStepLR,
    options: { milestones: 'numbers', gamma: 'number' },
    required: ['milestones'],
    make: (optimizer, options) => new MultiStepLR(optimizer, options),
  },
  OneCycleLR: {
    type: OneCycleLR,
    options: {
      maxLr: 'perGroup',
      cycleMomentum: 'boolean',
      baseMomentum: 'perGroup',
      maxMomentum: 'perGroup',
      totalSteps: 'number',
      pctStart: 'number',
      annealStrategy: 'text',
      divFactor: 'number',
      finalDivFactor: 'number',
      threePhase: 'boolean',
    },
    required: ['maxLr', 'totalSteps'],
    make: (optimizer, options) => new OneCycleLR(optimizer, options),
  },
  PolynomialLR: {
    type: PolynomialLR,
    options: { totalIters: 'number', power: 'number' },
    make: (optimizer, options) => new PolynomialLR(optimizer, options),
  },
  StepLR: {
    type: StepLR,
    options: { stepSize: 'number', gamma: 'number' },
    required: ['stepSize'],
    make: (optimizer, options) => new StepLR(optimizer, options),
  },
  ChainedScheduler: { type: ChainedScheduler, options: {}, make: (_, __, schedulers) => new ChainedScheduler(schedulers) },
  SequentialLR: {
    type: SequentialLR,
    options: { milestones: 'numbers' },
    required: ['milestones'],
    make: (_, { milestones }: { milestones: number[] }, schedulers) => new SequentialLR({ schedulers, milestones }),
  },
}

const isNumber = (x: unknown): x is number => typeof x === 'number' && Number.isFinite(x)
const areNumbers = (x: unknown): x is readonly number[] => Array.isArray(x) && x.every(isNumber)

const holds: Readonly<Record<OptionKind, (x: unknown) => boolean>> = {
  number: isNumber,
  boolean: (x) => typeof x === 'boolean',
  text: (x) => typeof x === 'string',
  numbers: areNumbers,
  perGroup: (x) => isNumber(x) || areNumbers(x),
}

/**
 * A scheduler as data.
 *
 * @throws {CotangentError} `unsupported` for schedulers that are made with functions, or are no part of this library.
 */
export function saveScheduler(scheduler: Scheduler): SavedScheduler {
  const [kind, entry] = Object.entries(entries).find(([, { type }]) => scheduler.constructor === type) ?? []
  const given = Object.entries(scheduler.options).filter(([, value]) => value !== undefined)
  if (!kind || !entry || given.some(([name, value]) => !entry.options[name] || !holds[entry.options[name]](value))) {
    const isLambda = scheduler instanceof LambdaLR || scheduler instanceof MultiplicativeLR
    throw new CotangentError('unsupported', {
      op: 'exportProgram',
      message:
        isLambda || kind ? 'a scheduler is made with a function, which a file cannot hold' : 'a scheduler is no part of this library',
      hint: 'Leave it out of the program and set the learning rate of the loaded one: program.groups[0].options.lr = 0.01.',
    })
  }
  const state = scheduler.stateDict()
  const inner = scheduler instanceof ChainedScheduler || scheduler instanceof SequentialLR ? scheduler.schedulers : []
  return { kind, options: Object.fromEntries(given), state, ...(inner.length > 0 && { schedulers: inner.map(saveScheduler) }) }
}

/** Why options are none that a kind of scheduler takes; null if they are. */
export function optionProblem(kind: string, options: Readonly<Record<string, unknown>>): string | null {
  const entry = Object.hasOwn(entries, kind) ? entries[kind] : undefined
  if (!entry) return 'belong to no scheduler of this library'
  const isKnown = ([name, value]: [string, unknown]) => Object.hasOwn(entry.options, name) && holds[entry.options[name]!](value)
  if (!Object.entries(options).every(isKnown)) return `are none of ${kind}`
  const missing = entry.required?.find((name) => !Object.hasOwn(options, name))
  return missing === undefined ? null : `lack ${missing}`
}

/**
 * Makes a scheduler again, which sets the rates that it had set.
 *
 * @param saved Of a kind that `optionProblem` knows, as are those within.
 * @throws {CotangentError} `invalid-argument` for options out of range.
 */
export function restoreScheduler(optimizer: Optimizer, saved: SavedScheduler): Scheduler {
  const make = (data: SavedScheduler): Scheduler =>
    entries[data.kind]!.make(optimizer, data.options as never, (data.schedulers ?? []).map(make))
  const made = make(saved)
  made.loadStateDict(saved.state)
  return made
}
