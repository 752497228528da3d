import { CotangentError } from '../errors.ts'

/** Refuses what is no whole number from `least` on. */
export function checkCount(op: string, name: string, value: number, { least = 1, infinite = false } = {}): void {
  if ((Number.isSafeInteger(value) && value >= least) || (infinite && value === Infinity)) return
  throw new CotangentError('invalid-argument', {
    op,
    message: `${name} is ${String(value)}`,
    hint: `It must be a whole number, ${least} or more${infinite ? ', or Infinity' : ''}.`,
  })
}
