import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Peer, Prepared } from '../peer.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const source = here('onednn.cc')
const folder = here('../.cache/')
const program = `${folder}onednn`

/** Compiles the program unless it is newer than its source. */
async function compile(): Promise<void> {
  if (existsSync(program) && statSync(program).mtimeMs > statSync(source).mtimeMs) return
  mkdirSync(folder, { recursive: true })
  const root = process.env.ONEDNN_ROOT
  const paths = root ? [`-I${root}/include`, `-L${root}/lib`, `-Wl,-rpath,${root}/lib`] : []
  const unfinished = `${program}.${process.pid}`
  await promisify(execFile)(process.env.CXX ?? 'c++', ['-std=c++17', '-O2', '-fopenmp', source, '-o', unfinished, ...paths, '-ldnnl'])
  renameSync(unfinished, program)
}

let threads = 1

/** The program with one case; it keeps the time. */
function run(...args: (string | number)[]): Prepared {
  const child = spawn(program, [threads, ...args].map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const time = async (iterations: number): Promise<number> => {
    child.stdin.write(`${iterations}\n`)
    const { value, done } = await answers.next()
    if (done) throw new Error(`oneDNN could not do ${args.join(' ')}`)
    return Number(value)
  }
  return { step: async () => void (await time(1)), time, dispose: () => void child.kill() }
}

/** What the addon could reach at best. */
const peer: Peer<'matmul' | 'conv2d' | 'matmul-int8' | 'conv2d-int8'> = {
  async open(options) {
    await compile()
    threads = options.threads
    return { version: (await promisify(execFile)(program, ['version'])).stdout.trim(), threads }
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
