import type { WorkOf } from '../case.ts'
import { type Peer, Unsupported } from '../peer.ts'
import { NativeProgram } from './native-program.ts'

const program = new NativeProgram('fma-peak', ['-O3', '-march=native', '-ffp-contract=fast'])
let threads = 1

/** Floating-point operations of the products of a step: forward, gradients of weights, and of inputs but for the first layer's. */
const flops = {
  mlp: ({ sizes, batch }: WorkOf<'mlp'>) =>
    sizes.slice(1).reduce((sum, out, i) => sum + 2 * batch * sizes[i]! * out * (i === 0 ? 2 : 3), 0),

  cnn({ batch, size, channels, classes }: WorkOf<'cnn'>): number {
    const blocks = channels.slice(1).map((out, i) => 2 * batch * (size >> i) ** 2 * 9 * channels[i]! * out * (i === 0 ? 2 : 3))
    const side = size >> (channels.length - 1)
    return blocks.reduce((a, b) => a + b, 0) + 3 * 2 * batch * side ** 2 * channels.at(-1)! * classes
  },

  transformer({ batch, length, width, hidden }: WorkOf<'transformer'>): number {
    const tokens = batch * length
    const projections = 2 * 3 * width + 3 * width + 3 * 2 * hidden
    const attention = 3 * 2 * length
    return 2 * tokens * width * (projections + attention)
  },
}

const inFloat32 = (dtype: string): void => {
  if (dtype !== 'float32') throw new Unsupported(`the peak of ${dtype} is not measured`)
}

/** The least time that the arithmetic of products takes on this machine: what nobody can be faster than. */
const peer: Peer<'matmul' | 'mlp' | 'cnn' | 'transformer'> = {
  async open(options) {
    await program.compile()
    threads = options.threads
    return { version: 'of this machine', threads }
  },

  builders: {
    matmul({ m, k, n, dtype }) {
      inFloat32(dtype)
      return program.prepare(threads, 2 * m * k * n)
    },
    mlp: (work) => program.prepare(threads, flops.mlp(work)),
    cnn: (work) => program.prepare(threads, flops.cnn(work)),
    transformer: (work) => program.prepare(threads, flops.transformer(work)),
  },
}

export default peer
