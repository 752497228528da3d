import { CotangentError } from '../errors.ts'

/** Refuses what is no whole number from `least` on. */
export function checkCount(op: string, name: string, value: number, { least = 1, infinite = false } = {}): void {
  if ((Number.isSafeInteger(value) && value >= least) || (infinite && value === Infinity)) return
  throw new CotangentError('invalid-argument', {
    op,
    message: `${name} is ${shown(value)}`,
    hint: `It must be a whole number, ${least} or more${infinite ? ', or Infinity' : ''}.`,
  })
}

/** A text that looks like a number is not to be taken for one. */
export const shown = (value: unknown): string => (typeof value === 'string' ? `the text '${value}'` : String(value))
