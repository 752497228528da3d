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
  /** One an axis. */
  readonly extents: readonly number[]
  /** One an access. */
  readonly offsets: readonly number[]
  /** By access and axis. */
  readonly strides: readonly (readonly number[])[]
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
  const [blocks, blockLength] = words(2) as [number, number]
  const extents = words(rank)
  const offsets = words(accesses.length)
  const strides = accesses.map(() => words(rank))
  return { params, pointers, blocks, blockLength, extents, offsets, strides, bytes: at }
}

/** Writes all but params and pointers; `words` is memory seen as int32, the descriptor starts at byte `pointer`. */
export function fillDescriptor(
  plan: KernelPlan,
  layout: DescriptorLayout,
  words: Int32Array,
  pointer: number,
  blocks: number,
  blockLength: number,
): void {
  const write = (at: number, value: number) => {
    words[(pointer + at) >>> 2] = value
  }
  const extents = [...plan.kernel.parallel, ...plan.kernel.reduce]
  write(layout.blocks, blocks)
  write(layout.blockLength, blockLength)
  extents.forEach((extent, axis) => write(layout.extents[axis]!, extent))
  plan.accesses.forEach((access, a) => {
    const { size } = dtypeInfo[access.dtype]
    write(layout.offsets[a]!, access.offset * size)
    access.strides.forEach((s, axis) => write(layout.strides[a]![axis]!, s * size))
  })
}
