import { dtypeInfo } from '../../dtype.ts'
import type { Kernel } from '../kernel.ts'
import { stagesOf } from '../stages.ts'
import type { Heap } from './heap.ts'
import type { KernelCompiler } from './kernel-program.ts'
import type { KernelRun } from './launch.ts'
import { withScratch } from './steps.ts'

/** A kernel as those that it is faster as, with working memory for what they hand on; undefined where it is best as it is. */
export function stagedKernel(compiler: KernelCompiler, heap: Heap, kernel: Kernel): KernelRun | undefined {
  const stages = stagesOf(kernel)
  if (!stages) return undefined
  const steps = stages.steps.map((step) => ({ ...step, run: compiler.prepare(step.program as Kernel) }))
  const bytes = stages.temporaries.map(({ dtype, size }) => dtypeInfo[dtype].size * size)
  const own = kernel.inputs.length + kernel.outputs.length
  const work = (pointers: readonly number[], scratch: readonly number[], scalars: readonly number[]) => {
    for (const { run, operands, scalars: params } of steps) {
      run(
        operands.map(({ buffer }) => (buffer < own ? pointers[buffer]! : scratch[buffer - own]!)),
        params.map((i) => scalars[i]!),
      )
    }
  }
  return withScratch(heap, bytes, work)
}
