import { CotangentError } from '../../errors.ts'
import { run, wait } from '../later.ts'
import { isBadRecord } from '../place.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'

/** How many broken elements may be left out, and who is told of them. */
export interface IgnoreErrorsOptions {
  /** Elements that may be left out in one pass; one more is an error. Default: any number. */
  readonly limit?: number
  /** Is told what was left out and why. */
  readonly log?: (error: CotangentError) => void
}

/** Leaves out elements that cannot be read or changed. What makes the rest unreadable too is still thrown. */
export function ignoreErrorsStage<T>(input: Stage<T>, { limit = Infinity, log }: IgnoreErrorsOptions): Stage<T> {
  return stageOver<T, T, number>({
    name: 'ignoreErrors',
    input,
    length: undefined,
    pass: (cursor, _, saved = 0) => {
      let ignored = saved
      function* next(): Generator<never, Step<T> | undefined, unknown> {
        for (;;) {
          try {
            return yield* wait(cursor.next()) as Generator<never, Step<T> | undefined, unknown>
          } catch (error) {
            if (!isBadRecord(error)) throw error
            if (++ignored > limit) {
              throw new CotangentError('invalid-argument', {
                op: 'ignoreErrors',
                message: `more than ${limit} elements failed; the last one: ${error.message.replace(/\.$/, '')}`,
                hint: 'Mend the data, or raise the limit.',
                cause: error,
              })
            }
            log?.(error)
          }
        }
      }
      return { next: () => run(next()), state: () => ignored }
    },
  })
}
