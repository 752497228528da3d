import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { tensor } from './creation.ts'

/** The values of `x`, for ops whose result's shape depends on them. */
export function readFor(op: string, x: Tensor, hint: string) {
  if (x.isTracer || !x.engine.synchronous) {
    throw new CotangentError(x.isTracer ? 'tracer-read' : 'async-only', {
      op,
      message: 'the shape of the result depends on values that cannot be looked at here',
      shapes: [x.shape],
      dtypes: [x.dtype],
      hint,
    })
  }
  return x.dataSync()
}

/** For each axis of `mask` the int32 positions of its nonzero elements, in row-major order. */
export function positionsOf(op: string, mask: Tensor): Tensor[] {
  const values = readFor(op, mask, 'Use where() or maskedFill(), which keep the shape.')
  const found: number[] = []
  values.forEach((v: number | bigint, i: number) => {
    if (v) found.push(i)
    else if (Number.isNaN(v)) found.push(i)
  })
  let step = 1
  return mask.shape
    .map((_, axis) => mask.shape.length - 1 - axis)
    .map((axis) => {
      const [n, unit] = [mask.shape[axis]!, step]
      step *= n
      return tensor(Int32Array.from(found, (i) => Math.floor(i / unit) % n))
    })
    .reverse()
}
