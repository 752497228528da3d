import { CotangentError } from '../../errors.ts'

/**
 * How the values of classes become one: from the counts of all classes together (`micro`), as their mean (`macro`), as their mean
 * weighted by how often each class occurs (`weighted`), or not at all (`none`: an array).
 */
export type ClassAverage = 'micro' | 'macro' | 'weighted' | 'none'

export type OfClasses<A> = 'none' extends A ? number[] : number

const averages: readonly string[] = ['micro', 'macro', 'weighted', 'none'] satisfies ClassAverage[]

/** @throws {CotangentError} `invalid-argument` for what is no average. */
export function averageOf(op: string, average: ClassAverage = 'macro'): ClassAverage {
  if (averages.includes(average)) return average
  throw new CotangentError('invalid-argument', {
    op,
    message: `there is no average ${String(average)}`,
    hint: `Use ${averages.join(', ')}.`,
  })
}

/** Mean of the values of classes; those that are NaN are left out. NaN where nothing is left. */
function meanOver(values: readonly number[], weights: readonly number[] = values.map(() => 1)): number {
  let [sum, total] = [0, 0]
  values.forEach((value, i) => {
    if (Number.isNaN(value) || weights[i] === 0) return
    sum += value * weights[i]!
    total += weights[i]!
  })
  return sum / total
}

/** The average of values that were computed class by class. */
export function averaged(
  values: readonly number[],
  support: readonly number[],
  average: Exclude<ClassAverage, 'micro'>,
): number | number[] {
  if (average === 'none') return [...values]
  return average === 'macro' ? meanOver(values) : meanOver(values, support)
}
