import { type DType, dtypeInfo, type TypedArray } from '../src/dtype.ts'
import type { Kernel } from '../src/engine/kernel.ts'
import { runKernel } from '../src/engine/reference/kernel.ts'
import { Heap } from '../src/engine/wasm/heap.ts'
import { KernelCompiler } from '../src/engine/wasm/kernel-program.ts'
import { Pool } from '../src/engine/wasm/pool.ts'

/** For tests: runs kernels on the emitted code and on the reference interpreter. */
export class KernelTrial {
  readonly heap = new Heap({ maximumBytes: 2 ** 30 })
  readonly pool: Pool
  readonly compiler: KernelCompiler

  constructor({ threads = 1, relaxed = false }: { threads?: number; relaxed?: boolean } = {}) {
    this.pool = new Pool(this.heap, { threads })
    this.compiler = new KernelCompiler(this.heap, this.pool, { relaxed })
  }

  /**
   * The output buffers after a run. `inPlace[o]` is the input whose buffer output o shares. What lies around the outputs is
   * checked to be left alone.
   */
  emitted(
    kernel: Kernel,
    inputs: readonly TypedArray[],
    scalars: readonly number[] = [],
    inPlace: Readonly<Record<number, number>> = {},
  ): TypedArray[] {
    const { heap } = this
    const blocks: number[] = []
    const place = (data: TypedArray) => {
      const pointer = heap.alloc(data.byteLength + 128)
      blocks.push(pointer)
      heap.u8.fill(0xa5, pointer, pointer + data.byteLength + 128)
      // Any element may be the first of a view: odd starts are legal.
      const start = pointer + 64 + data.BYTES_PER_ELEMENT
      heap.u8.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), start)
      return start
    }
    const run = this.compiler.prepare(kernel)
    const starts = inputs.map(place)
    const outputs = kernel.outputs.map(({ dtype }, o) => {
      const shared = inPlace[o]
      const data = shared === undefined ? blankOutput(kernel, o) : inputs[shared]!
      return { dtype, length: data.length, start: shared === undefined ? place(data) : starts[shared]! }
    })
    run([...starts, ...outputs.map((o) => o.start)], scalars)
    const results = outputs.map(({ dtype, length, start }) => {
      const { size, array } = dtypeInfo[dtype]
      const around = [...heap.u8.subarray(start - 8, start), ...heap.u8.subarray(start + length * size, start + length * size + 8)]
      if (around.some((byte) => byte !== 0xa5)) throw new RangeError(`${kernel.name} wrote outside of its output`)
      return new array(heap.u8.slice(start, start + length * size).buffer)
    })
    for (const block of blocks) heap.free(block)
    return results
  }

  close(): void {
    this.pool.close()
  }
}

/** The same on the reference. */
export function expected(
  kernel: Kernel,
  inputs: readonly TypedArray[],
  scalars: readonly number[] = [],
  inPlace: Readonly<Record<number, number>> = {},
): TypedArray[] {
  const arrays = inputs.map((a) => a.slice())
  const outputs = kernel.outputs.map((_, o) => (inPlace[o] === undefined ? blankOutput(kernel, o) : arrays[inPlace[o]]!))
  runKernel(
    kernel,
    [...arrays, ...outputs],
    [...arrays, ...outputs].map(() => 0),
    scalars,
  )
  return outputs
}

/** Room for output `o`, whose strides are not negative, filled with sevens. */
function blankOutput(kernel: Kernel, o: number): TypedArray {
  const { dtype, strides } = kernel.outputs[o]!
  const extents = [...kernel.parallel, ...kernel.reduce]
  const length = 1 + strides.reduce((sum, s, axis) => sum + s * Math.max(0, extents[axis]! - 1), 0)
  const data = new dtypeInfo[dtype].array(length)
  return dtype === 'int64' ? (data as BigInt64Array).fill(7n) : (data as Float32Array).fill(7)
}

/** Distance in units of the last place; 0 between NaNs and between zeros. */
export function ulps(dtype: DType, a: number | bigint, b: number | bigint): number {
  if (a === b || (Number.isNaN(a) && Number.isNaN(b))) return 0
  const { kind } = dtypeInfo[dtype]
  if (kind !== 'float') return Number.POSITIVE_INFINITY
  if (dtype === 'float64') return Number(ordered64(a as number) - ordered64(b as number)) * (a > b ? 1 : -1)
  if (dtype === 'float32') return Math.abs(ordered32(a as number) - ordered32(b as number))
  // Bit patterns.
  const infinity = dtype === 'float16' ? 0x7c00 : 0x7f80
  const value = (bits: number) => (bits & 0x8000 ? -(bits & 0x7fff) : bits)
  const isNaN = (bits: number) => (bits & 0x7fff) > infinity
  if (isNaN(a as number) && isNaN(b as number)) return 0
  return isNaN(a as number) !== isNaN(b as number) ? Number.POSITIVE_INFINITY : Math.abs(value(a as number) - value(b as number))
}

const scratch = new DataView(new ArrayBuffer(8))

function ordered32(x: number): number {
  if (Number.isNaN(x)) return Number.POSITIVE_INFINITY
  scratch.setFloat32(0, x)
  const bits = scratch.getInt32(0)
  return bits < 0 ? -(bits & 0x7fffffff) : bits
}

function ordered64(x: number): bigint {
  if (Number.isNaN(x)) return 2n ** 64n
  scratch.setFloat64(0, x)
  const bits = scratch.getBigInt64(0)
  return bits < 0n ? -(bits & 0x7fffffffffffffffn) : bits
}
