import type { ModuleBuilder } from './assembler.ts'
import type { FunctionRef } from './function-builder.ts'

/**
 * Exports `launch(begin, end, thread, arguments, scratch, stride)` for the worker pool, which calls
 * `run(arguments, begin, end, scratch)` with the thread's own scratch memory.
 */
export function exportLaunch(m: ModuleBuilder, run: FunctionRef): void {
  const f = m.function('launch', { export: true })
  const [begin, end, thread] = [f.param('i32'), f.param('i32'), f.param('i32')]
  const [args, scratch, stride] = [f.param('i32'), f.param('i32'), f.param('i32')]
  f.get(args)
  f.get(begin)
  f.get(end)
  f.get(scratch)
  f.get(thread)
  f.get(stride)
  f.op('i32.mul')
  f.op('i32.add')
  f.call(run)
}
