import { CotangentError } from '../../errors.ts'
import { indexedStage } from '../indexed.ts'
import type { Indexed, Stage } from '../stage.ts'

export function rangeStage(start: number, end: number, step: number): Stage<number> {
  if (!Number.isFinite(start) || !Number.isFinite(step) || Number.isNaN(end) || step === 0) {
    throw new CotangentError('invalid-argument', {
      op: 'range',
      message: `there are no numbers from ${start} to ${end} in steps of ${step}`,
      hint: 'Start and step must be finite, and the step not 0.',
    })
  }
  const length = Math.max(0, Math.ceil((end - start) / step))
  const elements: Indexed<number> = { length, at: (index) => start + index * step, placeOf: (index) => ({ source: 'range', index }) }
  return indexedStage({ name: 'range', length, open: () => elements })
}
