import { ModuleBuilder } from './assembler.ts'
import type { LoneCall } from './launch.ts'

/** Calls in a row as one function, as entering Wasm from JavaScript takes a good part of the time of a small kernel. */
export interface CallChain {
  /** How many calls it is. */
  readonly length: number
  /** @param scratch Address of the calling thread's scratch memory, of as many bytes as the call that wants most. */
  readonly run: (scratch: number) => void
  /** The position of the call that was made last: where one failed, of that. */
  readonly position: () => number
}

export function chainOf(calls: readonly LoneCall[]): CallChain {
  const m = new ModuleBuilder()
  const imports: Record<string, (...args: number[]) => unknown> = {}
  const functions = calls.map(({ fn }, i) => {
    imports[i] = fn.call
    return m.importFunction(
      `${i}`,
      Array.from({ length: fn.call.length }, () => 'i32'),
    )
  })
  const position = m.global()
  const run = m.function('run', { export: true })
  const scratch = run.param('i32')
  calls.forEach(({ fn, tasks, block }, i) => {
    run.i32(i)
    run.globalSet(position)
    const args = [0, tasks, 0, block, scratch, 0]
    for (const arg of args.slice(0, fn.call.length)) {
      if (typeof arg === 'number') run.i32(arg)
      else run.get(arg)
    }
    run.call(functions[i]!)
  })
  const at = m.function('position', { export: true, results: ['i32'] })
  at.globalGet(position)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.toBytes()), { env: imports })
  return { length: calls.length, run: exports['run'] as CallChain['run'], position: exports['position'] as CallChain['position'] }
}
