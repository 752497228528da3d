import type { Engine } from '../engine/engine.ts'
import { type Kernel, KernelBuilder } from '../engine/kernel.ts'
import { type Routine, routine } from '../engine/routine.ts'
import { rowMajor, sizeOf } from '../layout.ts'
import { type Cost, costOf } from './cost.ts'

/** What an engine reaches at most on this machine, with the threads that it has (Williams, Waterman and Patterson 2009). */
export interface Roofline {
  /** GB/s, read and written, of copying memory. */
  readonly copyGBs: number
  /** GFLOP/s of float32 multiply-adds: of a kernel of nothing else, or of a matrix product if that gets more out of it. */
  readonly gflops: number
}

/** Bytes that the copy may read and write: so many that launching it does not count, and no more than show what memory does. */
const COPY_BYTES = { least: 2 ** 20, most: 2 ** 27 }
/** An interpreter gets fewer elements, as it has no use for them. */
const SMALL = 1 / 4096
const FMA_SIZE = 1 << 18
const PRODUCT_SIZE = 384
const CHAINS = 8
const LINKS = 16
const WARM_UP = 3

/** Measures what an engine can do at the moment, so that it can be done in turns with what is held to it: machines change their speed. */
interface RooflineProbe {
  /** Runs each limit once: some milliseconds. */
  measure(): Roofline
  close(): void
}

/** @param bytes Read and written by what is held to the roof: the copy moves as many, so that the same caches hold them. */
export function probeRoofline(engine: Engine, bytes: number): RooflineProbe {
  const scale = engine.name === 'reference' ? SMALL : 1
  const moved = Math.min(Math.max(bytes, COPY_BYTES.least), COPY_BYTES.most)
  const limits = {
    copy: limitOf(engine, copyKernel(Math.ceil((scale * moved) / 8))),
    fma: limitOf(engine, fmaKernel(Math.ceil(scale * FMA_SIZE))),
    product: limitOf(engine, matmul(Math.ceil(PRODUCT_SIZE * Math.cbrt(scale)))),
  }
  return {
    measure() {
      const { cost } = limits.copy
      const gflops = [limits.fma, limits.product].map((limit) => limit.cost.flops / limit.run() / 1e6)
      return { copyGBs: (cost.bytesRead + cost.bytesWritten) / limits.copy.run() / 1e6, gflops: Math.max(...gflops) }
    },
    close: () => Object.values(limits).forEach((limit) => limit.close()),
  }
}

/** The least time that a program takes on this machine, in milliseconds. */
export const roofMs = ({ bytesRead, bytesWritten, flops }: Cost, { copyGBs, gflops }: Roofline): number =>
  Math.max((bytesRead + bytesWritten) / copyGBs, flops / gflops) / 1e6

function copyKernel(size: number): Kernel {
  const k = new KernelBuilder('copy', [size])
  k.output('float32', k.load(k.input('float32'), [1]))
  return k.build()
}

/** Chains that do not wait for each other, so that the units are never idle. */
function fmaKernel(size: number): Kernel {
  const k = new KernelBuilder('multiply-add', [size])
  const x = k.load(k.input('float32'), [1])
  const factor = k.param('float32')
  const chains = Array.from({ length: CHAINS }, (_, i) => {
    let y = k.add(x, k.constant('float32', i))
    for (let link = 0; link < LINKS; link++) y = k.add(k.mul(y, factor), x)
    return y
  })
  k.output(
    'float32',
    chains.reduce((a, b) => k.add(a, b)),
  )
  return k.build()
}

function matmul(n: number): Routine {
  const shape = [n, n]
  const operand = { dtype: 'float32', shape, strides: rowMajor(shape) } as const
  return routine('matmul', {}, [operand, operand], [operand])
}

interface Limit {
  readonly cost: Cost
  /** Milliseconds of a run. */
  run(): number
  close(): void
}

/** @param program Whose operands all have as many elements as its output. */
function limitOf(engine: Engine, program: Kernel | Routine): Limit {
  const size = program.kind === 'kernel' ? program.parallel[0]! : sizeOf(program.outputs[0]!.shape)
  const elements = [...program.inputs, ...program.outputs].map(() => size)
  const buffers = elements.map((count) => engine.allocate(count * 4))
  buffers.forEach((buffer, i) => engine.write(buffer, 'float32', 0, new Float32Array(elements[i]!)))
  const executable = engine.prepare(program)
  const offsets = buffers.map(() => 0)
  const scalars = program.kind === 'kernel' ? program.params.map(() => 0.5) : []
  const run = () => {
    const start = performance.now()
    executable.run(buffers, offsets, scalars)
    return performance.now() - start
  }
  // What runs for the first time is compiled, and its memory is touched.
  for (let i = 0; i < WARM_UP; i++) run()
  return { cost: costOf(program), run, close: () => buffers.forEach((buffer) => engine.free(buffer)) }
}
