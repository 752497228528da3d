import type { Kernel } from '../kernel.ts'
import { emitKernel } from './emit-kernel.ts'
import { wasmFeatures } from './features.ts'
import type { Heap } from './heap.ts'
import { type DescriptorLayout, type Division, fillDescriptor, layoutDescriptor } from './kernel-descriptor.ts'
import { type KernelPlan, planKernel } from './kernel-plan.ts'
import type { KernelRun, Launch } from './launch.ts'
import type { Pool, PoolFunction } from './pool.ts'
import { programCode } from './program-code.ts'

/** Work that is worth a launch of its own on another thread, in additions: some 4 us, which is what sharing costs. */
const GRAIN = 131072

interface Code {
  readonly layout: DescriptorLayout
  readonly run: PoolFunction
  /** Puts chunks together. */
  readonly finish: PoolFunction | undefined
}

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
    const staged = programCode()?.stagedKernel(this, this.#heap, kernel)
    if (staged) return staged
    const plan = planKernel(kernel, this.relaxed)
    // Reduction axes may have become parallel ones.
    if (plan.kernel.parallel.includes(0)) return () => {}
    const { layout, run, finish } = this.#codeOf(plan)
    const division = divideWork(plan)
    const { rows, grain, chunks } = division
    if (rows === 0) return () => {}
    const heap = this.#heap
    const pool = this.#pool
    const start = Math.ceil(layout.bytes / 16) * 16
    const descriptor = heap.alloc(start + (plan.chunked ? rows * chunks * division.taskBytes : 0))
    fillDescriptor(plan, layout, heap.i32, descriptor, division, descriptor + start)
    const args = [descriptor]
    const tasks = rows * chunks
    const params = (descriptor + layout.params) >>> 3
    const words = (descriptor + layout.pointers) >>> 2
    const work = () => {
      pool.run(run, tasks, grain, args)
      if (finish) pool.run(finish, rows, rows, args)
    }
    const launch: Launch = {
      pointers: [...kernel.inputs, ...kernel.outputs].map((_, buffer) => ({ word: words + buffer, buffer })),
      params,
      fit: () => (finish || (tasks > grain && pool.threads > 1) ? undefined : { fn: run, tasks, block: descriptor, scratchBytes: 0 }),
      run: work,
    }
    // Lives as long as what launches the descriptor.
    this.#descriptors.register(args, descriptor)
    const program = (pointers: readonly number[], scalars: readonly number[]) => {
      const { i32 } = heap
      for (let i = 0; i < pointers.length; i++) i32[words + i] = pointers[i]!
      if (scalars.length) {
        const { f64 } = heap
        for (let i = 0; i < scalars.length; i++) f64[params + i] = scalars[i]!
      }
      work()
    }
    return Object.assign(program, { launch })
  }

  #codeOf(plan: KernelPlan): Code {
    let code = this.#modules.get(plan.key)
    if (!code) {
      const layout = layoutDescriptor(plan)
      const bytes = emitKernel(plan, layout, { relaxed: this.relaxed, shared: this.#heap.shared })
      const { functions } = this.#pool.load(bytes)
      const named = (name: string) => functions[name] && { ...functions[name], name: plan.kernel.name }
      code = { layout, run: named('run')!, finish: named('finish') }
      this.#modules.set(plan.key, code)
    }
    return code
  }
}

/** Positions of the vector axis that are walked along with a tile axis: few enough for their cache lines to stay until used up. */
const TILE_LENGTH = 16

/** Elements that a chunk of a reduction has at least, and the longest sum of one lane. */
const CHUNK = 16384
const CHUNK_COLUMN = 1024
/** Where columns are swept: rows of a chunk and its elements, at least, and its columns, at most. */
const SWEPT_COLUMN = 256
const SWEPT_CHUNK = 65536
const SWEPT_WIDTH = 4096

/** Elements of the rows that a task sweeps. */
const SWEEP = 4096

/** Cuts the index space into tasks of equal size. The cut does not depend on the number of threads, so neither do results. */
function divideWork(plan: KernelPlan): Division {
  const extents = [...plan.kernel.parallel, ...plan.kernel.reduce]
  const count = (axes: readonly number[]) => axes.reduce((product, axis) => product * extents[axis]!, 1)
  const outer = count(plan.outer)
  const elements = Math.max(1, count(plan.inner))
  const group = plan.unroll * plan.lanes
  const width = plan.lanesAreRows ? extents[plan.vectorAxis]! : 1
  let chunkLength = 0
  let chunks = 1
  if (plan.chunked || plan.swept) {
    const length = extents[plan.inner[0]!]!
    const column = plan.sweepsColumns ? Math.max(SWEPT_COLUMN, SWEPT_CHUNK / width) : Math.max(CHUNK_COLUMN, CHUNK / width)
    const elementsWanted = plan.swept ? SWEEP / width : plan.lanesAreRows ? column : CHUNK
    chunkLength = Math.max(1, Math.round(elementsWanted / (elements / length)))
    if (plan.inner[0] === plan.vectorAxis) chunkLength = Math.ceil(chunkLength / group) * group
    chunks = Math.ceil(length / chunkLength)
  }
  const tileExtent = plan.tile === undefined ? 1 : extents[plan.tile]!
  const cost = Math.max(1, plan.cost / 4) * (elements / chunks) * tileExtent
  const worthwhile = plan.sweepsColumns ? SWEPT_WIDTH : GRAIN / cost
  const wanted = plan.tile === undefined ? Math.max(1, Math.round(worthwhile / group)) : TILE_LENGTH / group
  const blockLength = Math.min(Math.ceil(width / group), wanted) * group
  const blocks = plan.lanesAreRows ? Math.ceil(width / blockLength) : 1
  return {
    blocks,
    blockLength,
    chunks,
    chunkLength,
    rows: outer * blocks,
    grain: Math.max(1, Math.round(GRAIN / (cost * Math.min(width, blockLength)))),
    taskBytes: 16 * plan.partials * (plan.lanesAreRows ? blockLength / plan.lanes : 1),
  }
}
