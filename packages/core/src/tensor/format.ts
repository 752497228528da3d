import type { Tensor } from './tensor.ts'

/** NumPy-style text of a tensor. */
export function formatTensor(x: Tensor): string {
  if (x.isTracer) return `tracer([${x.shape}], ${x.dtype})`
  if (x.released) return `tensor(released, shape [${x.shape}], ${x.dtype})`
  return `tensor(${JSON.stringify(x.toArray(), (_, v) => (typeof v === 'bigint' ? Number(v) : v))}, ${x.dtype})`
}
