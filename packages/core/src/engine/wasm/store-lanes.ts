import type { ModuleBuilder } from './assembler.ts'
import type { FunctionRef } from './function-builder.ts'
import { when } from './i32-expression.ts'
import type { Lanes } from './lanes.ts'

/** `storeLanes(pointer, value, count)` writes the first `count` lanes; any count from the vector's own upwards writes all. */
export function emitStoreLanes(m: ModuleBuilder, lanes: Lanes): FunctionRef {
  const f = m.function('storeLanes')
  const pointer = f.param('i32')
  const value = f.param('v128')
  const count = f.param('i32')
  when(f, ['>=', count, lanes.count], () => {
    f.get(pointer)
    f.get(value)
    f.mem('v128.store')
    f.return()
  })
  for (let lane = 0; lane < lanes.count - 1; lane++) {
    when(f, ['<=', count, lane], () => f.return())
    f.get(pointer)
    f.get(value)
    f.memLane(lanes.storeLane, lane, lane * lanes.size)
  }
  return f
}
