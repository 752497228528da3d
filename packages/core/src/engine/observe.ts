import type { Engine, Executable, Program } from './engine.ts'

/** The same, told to the engine's observer while it has one. */
export function observable(engine: Engine, program: Program, executable: Executable): Executable {
  return {
    run(buffers, offsets, scalars) {
      const { observer } = engine
      if (!observer) return executable.run(buffers, offsets, scalars)
      const start = performance.now()
      executable.run(buffers, offsets, scalars)
      observer(program, performance.now() - start)
    },
  }
}
