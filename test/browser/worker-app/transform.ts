import { type Tensor, uniform } from 'cotangent'
import * as data from 'cotangent/data'

export const transform = data.inWorker((x: Tensor, { generator, index }: data.ElementContext) => {
  if (index === 6) throw new RangeError('not this one')
  return { double: x.mul(2), random: uniform([2], { generator }), where: typeof document }
})
