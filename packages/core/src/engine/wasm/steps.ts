import type { Kernel } from '../kernel.ts'
import type { Routine } from '../routine.ts'
import type { Heap } from './heap.ts'
import type { KernelRun } from './launch.ts'

/** What the programs are made ready with that a routine is made of. */
export interface StepCompiler {
  readonly heap: Heap
  kernel(kernel: Kernel): KernelRun
  product(routine: Routine<'matmul'>): KernelRun
}

/** Runs with working memory of so many bytes each, whose contents mean nothing. */
export function withScratch(
  heap: Heap,
  bytes: readonly number[],
  run: (pointers: readonly number[], scratch: readonly number[], scalars: readonly number[]) => void,
): KernelRun {
  const starts: number[] = []
  let total = 0
  for (const size of bytes) {
    starts.push(total)
    total += Math.ceil(size / 64) * 64
  }
  return (pointers, scalars) => {
    const block = heap.alloc(total)
    try {
      run(
        pointers,
        starts.map((start) => block + start),
        scalars,
      )
    } finally {
      heap.free(block)
    }
  }
}
