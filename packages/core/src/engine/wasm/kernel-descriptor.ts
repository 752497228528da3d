import { dtypeInfo } from '../../dtype.ts'
import type { KernelPlan } from './kernel-plan.ts'

/**
 * Where the emitted code finds what differs between kernels of one structure: byte offsets into the descriptor, a block of
 * memory that every prepared kernel owns. Params are float64, everything else int32; sizes and strides in bytes.
 */
export interface DescriptorLayout {
  /** Written on every run: params, then addresses of the buffers. */
  readonly params: number
  readonly pointers: number
  /** Blocks that the vector axis is cut into, and elements a block; only where lanes are rows. */
  readonly blocks: number
  readonly blockLength: number
  /** Chunks that reductions are cut into, positions of the outermost reduction axis a chunk; only where they are. */
  readonly chunks: number
  readonly chunkLength: number
  /** Address of the chunks' results, and how many bytes of them a task has. */
  readonly partials: number
  readonly taskBytes: number
  /** One an axis. */
  readonly extents: readonly number[]
  /** One an access. */
  readonly offsets: readonly number[]
  /** By access and axis. */
  readonly strides: readonly (readonly number[])[]
  /** One for each of the plan's numbers. */
  readonly numbers: readonly number[]
  readonly bytes: number
}

export function layoutDescriptor(plan: KernelPlan): DescriptorLayout {
  let at = 0
  const words = (count: number) => {
    const start = at
    at += 4 * count
    return Array.from({ length: count }, (_, i) => start + 4 * i)
  }
  const { kernel, accesses } = plan
  const rank = kernel.parallel.length + kernel.reduce.length
  const params = at
  words(2 * kernel.params.length)
  const pointers = at
  words(kernel.inputs.length + kernel.outputs.length)
  const [blocks, blockLength, chunks, chunkLength, partials, taskBytes] = words(6) as [number, number, number, number, number, number]
  const extents = words(rank)
  const offsets = words(accesses.length)
  const strides = accesses.map(() => words(rank))
  const numbers = words(plan.numbers.length)
  return { params, pointers, blocks, blockLength, chunks, chunkLength, partials, taskBytes, extents, offsets, strides, numbers, bytes: at }
}

/** How a kernel's index space is cut. */
export interface Division {
  /** Blocks of the vector axis, where lanes are rows, and elements a block. */
  readonly blocks: number
  readonly blockLength: number
  /** Chunks of the outermost reduction axis, and positions a chunk. */
  readonly chunks: number
  readonly chunkLength: number
  /** Rows, or blocks of rows. */
  readonly rows: number
  /** Tasks that are worth handing to another thread. */
  readonly grain: number
  /** Bytes of results that a chunk leaves. */
  readonly taskBytes: number
}

/**
 * Writes all but params and pointers; `words` is memory seen as int32, the descriptor starts at byte `pointer` and the
 * chunks' results at `partials`.
 */
export function fillDescriptor(
  plan: KernelPlan,
  layout: DescriptorLayout,
  words: Int32Array,
  pointer: number,
  division: Division,
  partials: number,
): void {
  const write = (at: number, value: number) => {
    words[(pointer + at) >>> 2] = value
  }
  const extents = [...plan.kernel.parallel, ...plan.kernel.reduce]
  write(layout.blocks, division.blocks)
  write(layout.blockLength, division.blockLength)
  write(layout.chunks, division.chunks)
  write(layout.chunkLength, division.chunkLength)
  write(layout.partials, partials)
  write(layout.taskBytes, division.taskBytes)
  extents.forEach((extent, axis) => write(layout.extents[axis]!, extent))
  plan.numbers.forEach((id, i) => {
    const node = plan.kernel.nodes[id]!
    if (node.op === 'const') write(layout.numbers[i]!, Number(node.value))
  })
  plan.accesses.forEach((access, a) => {
    const { size } = dtypeInfo[access.dtype]
    write(layout.offsets[a]!, access.offset * size)
    access.strides.forEach((s, axis) => write(layout.strides[a]![axis]!, s * size))
  })
}
