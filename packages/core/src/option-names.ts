import { CotangentError } from './errors.ts'
import { didYouMean } from './near-names.ts'

/** Every name of an options object, so that the compiler tells of one that is missing. */
export type OptionNames<O extends object> = Readonly<Record<keyof O, true>>

/** @throws {CotangentError} `invalid-argument` for an option that is none of `known`, with what was probably meant. */
export function checkOptionNames(op: string, options: object, known: object): void {
  const wrong = Object.keys(options).find((name) => !Object.hasOwn(known, name))
  if (wrong !== undefined) throw unknownOption(op, wrong, known)
}

/** @param hint What it is called here, where that is known. */
export function unknownOption(op: string, name: string, known: object, hint?: string): CotangentError {
  const names = Object.keys(known)
  return new CotangentError('invalid-argument', {
    op,
    message: `there is no option ${name}`,
    hint: hint ?? `${didYouMean(name, names)}There are ${names.join(', ')}.`,
  })
}
