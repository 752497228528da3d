import type { AttachedBackend, BackendThreads } from 'cotangent'
import { ReferenceEngine } from '../../core/src/engine/reference/engine.ts'
import { referenceRoutine } from '../../core/src/engine/reference/routine.ts'
import type { Operand, Routine } from '../../core/src/engine/routine.ts'
import { attachBackends } from '../../core/src/engine/wasm/backend-launch.ts'
import { WasmEngine } from '../../core/src/engine/wasm/engine.ts'
import { runProgram, small } from '../../core/test/engine.ts'
import { everything, NativeBackend } from '../src/backend.ts'
import { type LoadedBinding, loadBinding } from '../src/binding.ts'

let found: LoadedBinding | undefined
try {
  found = loadBinding()
} catch (error) {
  // oxlint-disable-next-line no-console -- why tests are skipped
  console.warn(`skipped: ${String(error)}`)
}

/** Undefined where it is not built: tests that need it are skipped then. */
export const loaded = found

/** The backend, by default for routines of any size, which tells which and how many routines it has taken. */
export class CountingBackend extends NativeBackend {
  readonly names: string[] = []

  get taken(): number {
    return this.names.length
  }

  constructor(options = everything) {
    super(loaded!, options)
  }

  override attach(memory: WebAssembly.Memory, threads?: BackendThreads): AttachedBackend {
    const attached = super.attach(memory, threads)
    return {
      ...attached,
      prepare: (routine, threads, variant) => {
        const prepared = attached.prepare(routine, threads, variant)
        if (prepared) this.names.push(routine.name)
        return prepared
      },
    }
  }
}

const reference = new ReferenceEngine()

export function nativeEngine(threads: number, options = everything): { engine: WasmEngine; backend: CountingBackend } {
  const backend = new CountingBackend(options)
  return { engine: new WasmEngine({ threads, fallback: referenceRoutine, backends: attachBackends([backend]) }), backend }
}

/** Small integers for each operand, so that sums are exact in any order. */
export function integersFor(operands: readonly Operand[]): number[][] {
  return operands.map(({ shape, strides }, i) =>
    small(i, shape.includes(0) ? 0 : shape.reduce((last, size, axis) => last + (size - 1) * strides[axis]!, 1)),
  )
}

/** What the reference computes and what the engine does. */
export function both(engine: WasmEngine, routine: Routine, scalars: readonly number[] = []) {
  const inputs = integersFor(routine.inputs)
  return { expected: runProgram(reference, routine, inputs, scalars), actual: runProgram(engine, routine, inputs, scalars) }
}

/** Numbers from 0 to `below - 1` that look random; the same ones on every run. */
export function generator(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
