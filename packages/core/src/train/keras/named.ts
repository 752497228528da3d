import { CotangentError } from '../../errors.ts'
import { didYouMean } from '../../near-names.ts'

/**
 * What a name stands for, whatever its case, dashes and underscores: `sparse_categorical_crossentropy` is `sparseCategoricalCrossentropy`.
 *
 * @throws {CotangentError} `invalid-argument` that names near ones and all there are.
 */
export function named<T>(op: string, what: string, name: string, table: Readonly<Record<string, T>>): T {
  const wanted = plain(name)
  const found = Object.keys(table).find((key) => plain(key) === wanted)
  if (found !== undefined) return table[found]!
  const known = Object.keys(table)
  throw new CotangentError('invalid-argument', {
    op,
    message: `there is no ${what} called '${name}'`,
    hint: `${didYouMean(name, known)}There are ${known.join(', ')}.`,
  })
}

const plain = (name: string): string => name.toLowerCase().replace(/[-_ ]/g, '')
