import { CotangentError } from '../errors.ts'

/** @param limit What says how many batches are meant. */
export const neverEnds = (op: string, message: string, limit: string): CotangentError =>
  new CotangentError('invalid-argument', { op, message, hint: `Say how many batches to take: ${limit}; or leave out repeat().` })
