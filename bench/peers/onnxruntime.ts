import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, renameSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import * as ort from 'onnxruntime-node'
import type { WorkOf } from '../case.ts'
import { labels, type Peer, type Prepared, randomNormal } from '../peer.ts'
import { python } from '../subject.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

/** The ONNX file of a case; PyTorch exports it the first time. */
async function exported(work: WorkOf<'inference'> | WorkOf<'next-token'>): Promise<string> {
  const name = Object.values(work).join('-')
  const folder = here('../.cache/onnx/')
  const file = `${folder}${name}.onnx`
  if (existsSync(file)) return file
  mkdirSync(folder, { recursive: true })
  const unfinished = `${folder}${process.pid}.onnx`
  await promisify(execFile)(python, [here('onnx_export.py'), JSON.stringify(work), unfinished]).catch(
    (error: Error & { stderr?: string }) => {
      throw new Error(`PyTorch could not export it: ${error.stderr?.match(/^\w*Error.*$/m)?.[0] ?? error.message}`)
    },
  )
  renameSync(unfinished, file)
  return file
}

let threads = 1

async function session(work: WorkOf<'inference'> | WorkOf<'next-token'>, feeds: Record<string, ort.Tensor>): Promise<Prepared> {
  const model = await ort.InferenceSession.create(await exported(work), { intraOpNumThreads: threads, graphOptimizationLevel: 'all' })
  return { step: async () => void (await model.run(feeds)), dispose: () => void model.release() }
}

const floats = (shape: number[]): ort.Tensor => new ort.Tensor('float32', randomNormal(shape.reduce((a, b) => a * b, 1)), shape)
const tokens = (shape: [number, number]): ort.Tensor =>
  new ort.Tensor('int64', BigInt64Array.from(labels(shape[0] * shape[1], 30_000), BigInt), shape)

const peer: Peer<'inference' | 'next-token'> = {
  async open(options) {
    threads = options.threads
    return { version: ort.env.versions.node ?? ort.env.versions.common, threads }
  },

  builders: {
    inference: (work) =>
      session(
        work,
        work.model === 'bert-base'
          ? { tokens: tokens([work.batch, work.size]) }
          : { images: floats([work.batch, 3, work.size, work.size]) },
      ),
    'next-token': (work) => session(work, { token: tokens([work.batch, 1]), past: floats([12, 2, work.batch, 12, work.position, 64]) }),
  },
}

export default peer
