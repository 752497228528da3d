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

  constructor(code: KernelRun, sizes: readonly number[]) {
    this.code = code
    this.sizes = sizes
    this.#pointers = sizes.map(() => 0)
  }

  /** The same, where it is known which buffers lie in one place: those that start at the same byte of the same memory. */
  at(places: readonly { readonly buffer: number; readonly offset: number }[]): HeapExecutable {
    const { code, sizes } = this
    if (!code.known) return this
    const starts = sizes.map((size, i) => places[i]!.offset * size)
    const samePlace = (a: number, b: number) => places[a]!.buffer === places[b]!.buffer && starts[a] === starts[b]
    return new HeapExecutable(code.known(samePlace), sizes)
  }

  run(buffers: readonly Buffer[], offsets: readonly number[], scalars: readonly number[]): void {
    const pointers = this.#pointers
    for (let i = 0; i < pointers.length; i++) pointers[i] = (buffers[i] as WasmBuffer).pointer + offsets[i]! * this.sizes[i]!
    this.code(pointers, scalars)
  }
}
