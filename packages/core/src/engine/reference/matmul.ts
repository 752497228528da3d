import { sizeOf } from '../../layout.ts'
import { arithmeticOf, type RoutineMeaning, valuesAs } from './arithmetic.ts'
import type { Num } from './storage.ts'

export const matmul: RoutineMeaning<'matmul'> = (_attrs, [a, b, bias], [y]) => {
  const { dtype, shape } = y!
  const { zero, add, mul } = arithmeticOf(dtype)
  const [rows, columns] = shape.slice(-2) as [number, number]
  const inner = a!.shape.at(-1)!
  const left = valuesAs(a!, dtype)
  const right = valuesAs(b!, dtype)
  const start = bias && valuesAs(bias, dtype)
  const values: Num[] = []
  for (let batch = 0; batch < sizeOf(shape.slice(0, -2)); batch++) {
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = start ? start[j]! : zero
        for (let k = 0; k < inner; k++) {
          sum = add(sum, mul(left[(batch * rows + i) * inner + k]!, right[(batch * inner + k) * columns + j]!))
        }
        values.push(sum)
      }
    }
  }
  return [values]
}
