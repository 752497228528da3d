import type { DType } from '../dtype.ts'
import { currentEngine } from '../engine/registry.ts'
import type { ArrayRecord } from '../io/array-record.ts'
import { type Spec, spec } from '../layout.ts'
import { Storage } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'

/** Memory of a tensor to come that a worker may write: `size` elements from byte `at` on. */
export interface Slot {
  readonly memory: SharedArrayBuffer
  readonly at: number
  readonly dtype: DType
  readonly size: number
}

/** Room among this program's tensors for what a worker makes, so that its results need no copy here. */
export class ResultSlots {
  readonly slots: readonly Slot[]
  readonly #storages = new Map<number, Storage>()

  /** @param specs What is expected. There is no room where the engine's memory is not shared. */
  constructor(specs: readonly Spec[]) {
    const slots: Slot[] = []
    for (const { dtype, shape, size } of specs) {
      const engine = currentEngine()
      if (size === 0 || !engine.locate) continue
      const storage = new Storage(engine, spec(dtype, shape), 'mapInWorkers')
      const place = engine.locate(storage.buffer)
      if (!place) {
        storage.release()
        break
      }
      slots.push({ ...place, dtype, size })
      this.#storages.set(place.at, storage)
    }
    this.slots = slots
  }

  /** The tensor of a record that a worker wrote into a slot, if it did. */
  take({ dtype, shape, bytes }: ArrayRecord): Tensor | undefined {
    const storage = bytes.buffer instanceof ArrayBuffer ? undefined : this.#storages.get(bytes.byteOffset)
    if (!storage || storage.engine !== currentEngine()) return undefined
    this.#storages.delete(bytes.byteOffset)
    return new Tensor(spec(dtype, shape), storage, 0)
  }

  /** Gives back what was not taken, once the worker writes no more. */
  release(): void {
    for (const storage of this.#storages.values()) storage.release()
  }
}
