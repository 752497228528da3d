import type { Peer, Prepared } from '../peer.ts'
import { NativeProgram } from './native-program.ts'

const root = process.env.ONEDNN_ROOT
const paths = root ? [`-I${root}/include`, `-L${root}/lib`, `-Wl,-rpath,${root}/lib`] : []
const program = new NativeProgram('onednn', ['-O2', ...paths, '-ldnnl'])

let threads = 1
const run = (...args: (string | number)[]): Prepared => program.prepare(threads, ...args)

/** What the addon could reach at best. */
const peer: Peer<'matmul' | 'conv2d' | 'matmul-int8' | 'conv2d-int8'> = {
  async open(options) {
    await program.compile()
    threads = options.threads
    return { version: await program.output('version'), threads }
  },

  builders: {
    matmul: ({ m, k, n, dtype }) => run('matmul', dtype === 'float32' ? 'f32' : 'bf16', m, k, n),
    conv2d: ({ batch, size, inChannels, outChannels, kernel, stride, part }) =>
      run(part, 'f32', batch, size, inChannels, outChannels, kernel, stride),
    'matmul-int8': ({ m, k, n }) => run('matmul', 's8', m, k, n),
    'conv2d-int8': ({ batch, size, inChannels, outChannels, kernel }) =>
      run('forward', 'u8', batch, size, inChannels, outChannels, kernel, 1),
  },
}

export default peer
