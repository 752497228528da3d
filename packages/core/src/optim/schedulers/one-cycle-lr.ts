import { CotangentError } from '../../errors.ts'
import type { Optimizer } from '../optimizer.ts'
import { checkBetween, checkCount, checkMomentum, FormulaScheduler, perGroup } from './scheduler.ts'

/** The height, length and shape of the cycle. Momentum goes the other way, by default. */
export interface OneCycleLROptions {
  /** The highest rate; one for all groups or one a group. */
  readonly maxLr: number | readonly number[]
  /** Steps of the whole training. */
  readonly totalSteps: number
  /** The share of steps in which the rate rises; default 0.3. */
  readonly pctStart?: number
  /** Whether rates follow a cosine (default) or a line. */
  readonly annealStrategy?: 'cos' | 'linear'
  /** Whether momentum (or the first beta) falls while the rate rises, and rises while it falls. Default true. */
  readonly cycleMomentum?: boolean
  /** The lowest momentum, where the rate is highest. */
  readonly baseMomentum?: number | readonly number[]
  /** The highest momentum, where the rate is lowest. */
  readonly maxMomentum?: number | readonly number[]
  /** The first rate is `maxLr / divFactor`; default 25. */
  readonly divFactor?: number
  /** The last rate is the first one divided by this; default 10,000. */
  readonly finalDivFactor?: number
  /** Falls to the first rate as fast as it rose, and then on to the last one. */
  readonly threePhase?: boolean
}

/**
 * One rise of the learning rate to `maxLr` and one fall far below where it began (Smith & Topin 2019,
 * https://arxiv.org/abs/1708.07120). Call `step()` after every batch, at most `totalSteps` times.
 */
export class OneCycleLR extends FormulaScheduler {
  constructor(optimizer: Optimizer, options: OneCycleLROptions) {
    const op = 'OneCycleLR'
    const { maxLr, totalSteps, pctStart = 0.3, annealStrategy = 'cos', cycleMomentum = true } = options
    const { baseMomentum = 0.85, maxMomentum = 0.95, divFactor = 25, finalDivFactor = 1e4, threePhase = false } = options
    checkCount(op, 'totalSteps', totalSteps)
    checkBetween(op, 'pctStart', pctStart, 0, 1)
    if (annealStrategy !== 'cos' && annealStrategy !== 'linear') {
      throw new CotangentError('invalid-argument', { op, message: `annealStrategy is ${String(annealStrategy)}, not cos or linear` })
    }
    if (cycleMomentum) checkMomentum(op, optimizer)
    const highest = perGroup(op, 'maxLr', optimizer, maxLr)
    for (const lr of highest) checkBetween(op, 'maxLr', lr, 0, Number.POSITIVE_INFINITY)
    const low = perGroup(op, 'baseMomentum', optimizer, baseMomentum)
    const high = perGroup(op, 'maxMomentum', optimizer, maxMomentum)
    const first = highest.map((lr) => lr / divFactor)
    const last = first.map((lr) => lr / finalDivFactor)

    const rise = { end: pctStart * totalSteps - 1, lr: [first, highest], momentum: [high, low] } as const
    const end = totalSteps - 1
    const phases = threePhase
      ? [
          rise,
          { end: 2 * pctStart * totalSteps - 2, lr: [highest, first], momentum: [low, high] } as const,
          { end, lr: [first, last], momentum: [high, high] } as const,
        ]
      : [rise, { end, lr: [highest, last], momentum: [low, high] } as const]

    const anneal = annealStrategy === 'cos' ? cosine : linear
    const at = (epoch: number, what: 'lr' | 'momentum', group: number): number => {
      if (epoch > totalSteps) {
        throw new CotangentError('invalid-argument', {
          op,
          message: `step ${epoch} comes after the last of ${totalSteps}`,
          hint: 'Raise totalSteps, or stop calling step().',
        })
      }
      const found = phases.findIndex((phase) => epoch <= phase.end)
      const index = found < 0 ? phases.length - 1 : found
      const phase = phases[index]!
      const start = index === 0 ? 0 : phases[index - 1]!.end
      const [from, to] = phase[what]
      return anneal(from[group]!, to[group]!, phase.end === start ? 1 : (epoch - start) / (phase.end - start))
    }
    optimizer.paramGroups.forEach((group, i) => {
      group.initialLr = first[i]!
    })
    super(optimizer, {
      options,
      first: (_, __, group) => at(0, 'lr', group),
      next: (_, epoch, __, group) => at(epoch, 'lr', group),
      restart: (_, group) => at(0, 'lr', group),
      momentum: cycleMomentum ? (epoch, group) => at(epoch, 'momentum', group) : undefined,
    })
  }
}

const cosine = (from: number, to: number, share: number): number => to + ((from - to) / 2) * (Math.cos(Math.PI * share) + 1)
const linear = (from: number, to: number, share: number): number => (to - from) * share + from
