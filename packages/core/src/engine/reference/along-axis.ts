import { rowMajor } from '../../layout.ts'
import type { ScatterMode } from '../routine.ts'
import { scalarTypeOf } from '../scalar.ts'
import { arithmeticOf, type RoutineMeaning, valuesAs } from './arithmetic.ts'
import { forEachIndex } from './kernel.ts'
import { castScalar, narrow, type Num } from './storage.ts'

export const scatter: RoutineMeaning<'scatter'> = ({ axis, mode }, [base, index, source], [y]) => {
  const { dtype, shape } = y!
  const { add, mul, max, min } = arithmeticOf(dtype)
  const combine = { set: (_: Num, b: Num) => b, add, mul, max, min } satisfies Record<ScatterMode, typeof add>
  const strides = rowMajor(shape)
  const values = [...valuesAs(base!, dtype)]
  const updates = valuesAs(source!, dtype)
  const at = new Array<number>(shape.length).fill(0)
  let i = 0
  forEachIndex(index!.shape, at, 0, () => {
    const target = strides.reduce((sum, stride, d) => sum + stride * (d === axis ? Number(index!.values[i]) : at[d]!), 0)
    values[target] = combine[mode](values[target]!, updates[i]!)
    i++
  })
  return [values]
}

export const cumulative: RoutineMeaning<'cumulative'> = ({ axis, combine, reverse }, [x], [y]) => {
  const { dtype, shape } = y!
  const { add, mul, max, min } = arithmeticOf(dtype)
  const step = { sum: add, prod: mul, max, min }[combine]
  const length = shape[axis]!
  const stride = rowMajor(shape)[axis]!
  const values = x!.values.map((v) => narrow(castScalar(v, scalarTypeOf[x!.dtype], scalarTypeOf[dtype]), dtype))
  for (let start = 0; start < values.length; start++) {
    // Each line along the axis is walked from its first element.
    if (Math.floor(start / stride) % length !== 0) continue
    for (let n = 1; n < length; n++) {
      const at = start + stride * (reverse ? length - 1 - n : n)
      values[at] = step(values[at + (reverse ? stride : -stride)]!, values[at]!)
    }
  }
  return [values]
}
