import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../optimizer.ts'
import { checkCount, checkMomentum, FormulaScheduler, perGroup } from './scheduler.ts'

/** Between which rates cycles go, how long they take, and how they shrink. Momentum goes the other way, by default. */
export interface CyclicLROptions {
  /** The lowest rate; one for all groups or one a group. */
  readonly baseLr: number | readonly number[]
  /** The highest rate. */
  readonly maxLr: number | readonly number[]
  /** Steps in which the rate rises; default 2000. */
  readonly stepSizeUp?: number
  /** Default: as `stepSizeUp`. */
  readonly stepSizeDown?: number
  /** Cycles of one height, of half the height of the one before, or lower by `gamma` at each step. */
  readonly mode?: 'triangular' | 'triangular2' | 'expRange'
  /** Default 1. */
  readonly gamma?: number
  /** How high a cycle is, in the place of `mode`: from its number (from 1) or from the step. */
  readonly scaleFn?: (x: number) => number
  /** What `scaleFn` gets: the number of the cycle (default) or of the step. */
  readonly scaleMode?: 'cycle' | 'iterations'
  /** Whether momentum (or the first beta) falls while the rate rises. Default true. */
  readonly cycleMomentum?: boolean
  /** The lowest momentum, where the rate is highest. */
  readonly baseMomentum?: number | readonly number[]
  /** The highest momentum, where the rate is lowest. */
  readonly maxMomentum?: number | readonly number[]
}

/** The learning rate rises and falls in lines between two bounds (Smith 2017, https://arxiv.org/abs/1506.01186). Call `step()` after every batch. */
export class CyclicLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, options: CyclicLROptions) {
    const op = 'CyclicLR'
    const { stepSizeUp = 2000, stepSizeDown = stepSizeUp, mode = 'triangular', gamma = 1, cycleMomentum = true } = options
    checkCount(op, 'stepSizeUp', stepSizeUp)
    checkCount(op, 'stepSizeDown', stepSizeDown)
    if (cycleMomentum) checkMomentum(op, optimizer)
    if (!Object.hasOwn(modes, mode))
      throw new CotangentError('invalid-argument', { op, message: `mode is ${String(mode)}, not one of ${Object.keys(modes).join(', ')}` })
    const { scale, per } = options.scaleFn ? { scale: options.scaleFn, per: options.scaleMode ?? 'cycle' } : modes[mode]

    const length = stepSizeUp + stepSizeDown
    const rising = stepSizeUp / length
    /** How far up the cycle is at a step, from 0 to 1 (times the height of the cycle). */
    const height = (step: number): number => {
      const cycle = Math.floor(1 + step / length)
      const position = 1 + step / length - cycle
      const share = position <= rising ? position / rising : (position - 1) / (rising - 1)
      return share * scale(per === 'cycle' ? cycle : step, gamma)
    }
    const lowest = perGroup(op, 'baseLr', optimizer, options.baseLr)
    const highest = perGroup(op, 'maxLr', optimizer, options.maxLr)
    const low = perGroup(op, 'baseMomentum', optimizer, options.baseMomentum ?? 0.8)
    const high = perGroup(op, 'maxMomentum', optimizer, options.maxMomentum ?? 0.9)
    const rate = (step: number, base: number, group: number) => base + (highest[group]! - base) * height(step)
    optimizer.paramGroups.forEach((group, i) => {
      group.lr = lowest[i]!
    })
    super(
      optimizer,
      {
        options,
        first: (_, base, group) => rate(0, base, group),
        next: (_, step, base, group) => rate(step, base, group),
        restart: (base, group) => rate(0, base, group),
        momentum: cycleMomentum ? (step, group) => high[group]! - (high[group]! - low[group]!) * height(step) : undefined,
      },
      lowest,
    )
  }
}

const modes = {
  triangular: { scale: () => 1, per: 'cycle' },
  triangular2: { scale: (cycle) => 1 / 2 ** (cycle - 1), per: 'cycle' },
  expRange: { scale: (step, gamma) => gamma ** step, per: 'iterations' },
} as const satisfies Record<string, { scale: (x: number, gamma: number) => number; per: 'cycle' | 'iterations' }>
