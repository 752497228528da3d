import type { Kernel } from '../kernel.ts'
import { emitKernel } from './emit-kernel.ts'
import { wasmFeatures } from './features.ts'
import type { Heap } from './heap.ts'
import { type DescriptorLayout, fillDescriptor, layoutDescriptor } from './kernel-descriptor.ts'
import { type KernelPlan, planKernel } from './kernel-plan.ts'
import type { Pool, PoolFunction } from './pool.ts'

/** Work that is worth a launch of its own on another thread, in additions. */
const GRAIN = 32768

interface Code {
  readonly layout: DescriptorLayout
  readonly run: PoolFunction
}

/** Runs a kernel once: addresses of the buffers' first elements in bytes, and the params. */
export type KernelRun = (pointers: readonly number[], scalars: readonly number[]) => void

/** Turns kernels into code; kernels of equal structure share a module. */
export class KernelCompiler {
  readonly #heap: Heap
  readonly #pool: Pool
  /** Whether multiply-add is fused. */
  readonly relaxed: boolean
  readonly #modules = new Map<string, Code>()
  /** Descriptors go when the programs that they belong to are forgotten. */
  readonly #descriptors: FinalizationRegistry<number>

  constructor(heap: Heap, pool: Pool, options: { relaxed?: boolean } = {}) {
    this.#heap = heap
    this.#pool = pool
    this.relaxed = options.relaxed ?? wasmFeatures().relaxedSimd
    this.#descriptors = new FinalizationRegistry((pointer) => heap.free(pointer))
  }

  /** Modules emitted so far. */
  get moduleCount(): number {
    return this.#modules.size
  }

  prepare(kernel: Kernel): KernelRun {
    if (kernel.parallel.includes(0)) return () => {}
    const plan = planKernel(kernel, this.relaxed)
    const { layout, run } = this.#codeOf(plan)
    const { tasks, grain, blocks, blockLength } = divideWork(plan)
    if (tasks === 0) return () => {}
    const heap = this.#heap
    const pool = this.#pool
    const descriptor = heap.alloc(layout.bytes)
    fillDescriptor(plan, layout, heap.i32, descriptor, blocks, blockLength)
    const args = [descriptor]
    const params = (descriptor + layout.params) >>> 3
    const words = (descriptor + layout.pointers) >>> 2
    const program: KernelRun = (pointers, scalars) => {
      const i32 = heap.i32
      for (let i = 0; i < pointers.length; i++) i32[words + i] = pointers[i]!
      if (scalars.length) {
        const f64 = heap.f64
        for (let i = 0; i < scalars.length; i++) f64[params + i] = scalars[i]!
      }
      pool.run(run, tasks, grain, args)
    }
    this.#descriptors.register(program, descriptor)
    return program
  }

  #codeOf(plan: KernelPlan): Code {
    let code = this.#modules.get(plan.key)
    if (!code) {
      const layout = layoutDescriptor(plan)
      const bytes = emitKernel(plan, layout, { relaxed: this.relaxed, shared: this.#heap.shared })
      code = { layout, run: { ...this.#pool.load(bytes).functions['run']!, name: plan.kernel.name } }
      this.#modules.set(plan.key, code)
    }
    return code
  }
}

/** Cuts the index space into tasks of equal size. The cut does not depend on the number of threads, so neither do results. */
function divideWork(plan: KernelPlan): { tasks: number; grain: number; blocks: number; blockLength: number } {
  const extents = [...plan.kernel.parallel, ...plan.kernel.reduce]
  const count = (axes: readonly number[]) => axes.reduce((product, axis) => product * extents[axis]!, 1)
  const rows = count(plan.outer)
  const cost = Math.max(1, plan.cost / 4) * Math.max(1, count(plan.inner))
  if (!plan.lanesAreRows) return { tasks: rows, grain: Math.max(1, Math.round(GRAIN / cost)), blocks: 1, blockLength: 0 }
  const length = extents[plan.vectorAxis]!
  const group = plan.unroll * plan.lanes
  const blockLength = Math.max(group, Math.round(GRAIN / cost / group) * group)
  const blocks = Math.ceil(length / blockLength)
  const grain = Math.max(1, Math.round(GRAIN / (cost * Math.min(length, blockLength))))
  return { tasks: rows * blocks, grain, blocks, blockLength }
}
