import type { ModuleBuilder } from './assembler.ts'
import type { FunctionRef } from './function-builder.ts'
import { push } from './i32-expression.ts'
import type { Lanes } from './lanes.ts'

/** `storeLanes(pointer, value, count)` writes the first `count` lanes; any count from the vector's own upwards writes all. */
export function emitStoreLanes(m: ModuleBuilder, lanes: Lanes): FunctionRef {
  const f = m.function('storeLanes')
  const pointer = f.param('i32')
  const value = f.param('v128')
  const count = f.param('i32')
  push(f, ['>=', count, lanes.count])
  f.if(() => {
    f.get(pointer)
    f.get(value)
    f.mem('v128.store')
    f.return()
  })
  for (let lane = 0; lane < lanes.count - 1; lane++) {
    push(f, ['<=', count, lane])
    f.if(() => f.return())
    f.get(pointer)
    f.get(value)
    f.memLane(lanes.storeLane, lane, lane * lanes.size)
  }
  return f
}
