import { compareNaNLast, type RoutineMeaning, valuesAs } from './arithmetic.ts'
import type { Num } from './storage.ts'

export const sort: RoutineMeaning<'sort'> = ({ descending }, [x], [y]) => {
  const input = valuesAs(x!, y!.dtype)
  const length = x!.shape.at(-1) ?? 1
  const sorted: Num[] = []
  const positions: number[] = []
  for (let row = 0; row < input.length; row += length) {
    // Array.prototype.sort is stable, in both directions of the comparison.
    const order = Array.from({ length }, (_, i) => i).sort((i, j) => {
      const ascending = compareNaNLast(input[row + i]!, input[row + j]!)
      return descending ? -ascending : ascending
    })
    for (const i of order) {
      sorted.push(input[row + i]!)
      positions.push(i)
    }
  }
  return [sorted, positions]
}
