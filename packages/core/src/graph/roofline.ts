import type { Engine, Program } from '../engine/engine.ts'
import { type Kernel, KernelBuilder } from '../engine/kernel.ts'
import { routine } from '../engine/routine.ts'
import { rowMajor } from '../layout.ts'
import { type Cost, costOf } from './cost.ts'

/** What an engine reaches at most on this machine, with the threads that it has (Williams, Waterman and Patterson 2009). */
export interface Roofline {
  /** GB/s, read and written, of copying memory that no cache holds. */
  readonly copyGBs: number
  /** GFLOP/s of float32 multiply-adds: of a kernel of nothing else, or of a matrix product if that gets more out of it. */
  readonly gflops: number
}

const known = new WeakMap<Engine, Map<number, Roofline>>()

/** Floats of the copy: 64 MiB, more than caches hold. An interpreter gets fewer, as it has no use for them. */
const COPY_SIZE = 1 << 24
const FMA_SIZE = 1 << 14
const PRODUCT_SIZE = 384
const SMALL = 1 / 4096
const CHAINS = 8
const LINKS = 16

/** Measures an engine's peaks: some 50 ms, once for each number of threads. */
export function rooflineOf(engine: Engine): Roofline {
  let ofEngine = known.get(engine)
  if (!ofEngine) known.set(engine, (ofEngine = new Map()))
  let found = ofEngine.get(engine.threads)
  if (!found) ofEngine.set(engine.threads, (found = measure(engine)))
  return found
}

function measure(engine: Engine): Roofline {
  const scale = engine.name === 'reference' ? SMALL : 1
  const copy = copyKernel(Math.ceil(COPY_SIZE * scale))
  const fma = fmaKernel(Math.ceil(FMA_SIZE * scale))
  const product = matmul(Math.ceil(PRODUCT_SIZE * Math.cbrt(scale)))
  const { bytesRead, bytesWritten } = costOf(copy)
  return {
    copyGBs: (bytesRead + bytesWritten) / fastest(engine, copy) / 1e6,
    gflops: Math.max(...[fma, product].map((program) => costOf(program).flops / fastest(engine, program) / 1e6)),
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

function matmul(n: number): Program {
  const shape = [n, n]
  const operand = { dtype: 'float32', shape, strides: rowMajor(shape) } as const
  return routine('matmul', {}, [operand, operand], [operand])
}

/** Of some runs after a first one, in milliseconds: what else the machine did does not count. */
function fastest(engine: Engine, program: Program): number {
  const sizes = program.kind === 'kernel' ? [...program.inputs, ...program.outputs].map(() => program.parallel[0]!) : undefined
  const elements = sizes ?? (program.kind === 'routine' ? [...program.inputs, ...program.outputs].map((o) => o.shape[0]! ** 2) : [])
  const buffers = elements.map((count) => engine.allocate(count * 4))
  try {
    buffers.forEach((buffer, i) => engine.write(buffer, 'float32', 0, new Float32Array(elements[i]!)))
    const executable = engine.prepare(program)
    const offsets = buffers.map(() => 0)
    const scalars = program.kind === 'kernel' ? program.params.map(() => 0.5) : []
    const run = () => executable.run(buffers, offsets, scalars)
    run()
    let best = Number.POSITIVE_INFINITY
    const end = performance.now() + 15
    for (let runs = 0; runs < 5 || performance.now() < end; runs++) {
      const start = performance.now()
      run()
      best = Math.min(best, performance.now() - start)
    }
    return best
  } finally {
    for (const buffer of buffers) engine.free(buffer)
  }
}
