import type { DType } from '../dtype.ts'
import { currentEngine } from '../engine/registry.ts'
import { type Shape, spec } from '../layout.ts'
import type { toRaw } from './elements.ts'
import { Storage } from './storage.ts'
import { Tensor } from './tensor.ts'

/** A tensor over a copy of `raw`, which holds the dtype's own bit patterns in row-major order. */
export function fromRawData(raw: ReturnType<typeof toRaw>, shape: Shape, dtype: DType, requiresGrad = false): Tensor {
  const engine = currentEngine()
  const own = spec(dtype, shape)
  const storage = new Storage(engine, own, 'tensor')
  engine.write(storage.buffer, dtype, 0, raw)
  return new Tensor(own, storage, 0).setRequiresGrad(requiresGrad)
}
