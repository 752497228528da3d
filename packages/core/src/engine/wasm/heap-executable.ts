import { type DType, dtypeInfo } from '../../dtype.ts'
import type { Buffer, Executable } from '../engine.ts'
import type { KernelRun } from './launch.ts'

export interface WasmBuffer extends Buffer {
  /** Byte address on the heap. */
  readonly pointer: number
}

/** Code that takes byte addresses. */
export class HeapExecutable implements Executable {
  readonly code: KernelRun
  /** Bytes an element of each buffer. */
  readonly sizes: readonly number[]
  readonly #pointers: number[]

  constructor(code: KernelRun, dtypes: readonly DType[]) {
    this.code = code
    this.sizes = dtypes.map((d) => dtypeInfo[d].size)
    this.#pointers = dtypes.map(() => 0)
  }

  run(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[]): void {
    const pointers = this.#pointers
    for (let i = 0; i < pointers.length; i++) pointers[i] = (buffers[i] as WasmBuffer).pointer + offsets[i]! * this.sizes[i]!
    this.code(pointers, scalars)
  }
}
