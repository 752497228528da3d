import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzipSync } from 'node:zlib'
import { rolldown } from 'rolldown'
import { spread, type Spread } from './measure.ts'
import type { Row, Skip } from './report.ts'
import { type PeerName, python } from './subject.ts'

/** Who can be started alike. */
type Starting = 'ours' | Extract<PeerName, 'tfjs-wasm' | 'jax-js-wasm' | 'pytorch-eager'>

/** The same three programs for each: load it; load it and multiply two small matrices; the least that trains a dense layer. */
interface Programs {
  load: string
  first: string
  /** JavaScript only: bundled for a browser. */
  minimal?: string
  /** Files that the minimal program also fetches, as module specifiers. */
  assets?: string[]
}

const programs: Record<Starting, Programs> = {
  ours: {
    load: `await import('cotangent')`,
    first: `const ct = await import('cotangent'); const a = ct.ones([32, 32]); await a.matmul(a).data()`,
    minimal: `
      import { tensor, nn } from 'cotangent'
      const layer = new nn.Linear(4, 2)
      layer.forward(tensor([[1, 2, 3, 4]])).sum().backward()
      console.log(layer.weight.grad)`,
  },
  'tfjs-wasm': {
    load: `await import('@tensorflow/tfjs'); await import('@tensorflow/tfjs-backend-wasm')`,
    first: `
      const { default: tf } = await import('@tensorflow/tfjs')
      const { default: wasm } = await import('@tensorflow/tfjs-backend-wasm')
      wasm.setThreadsCount(1)
      await tf.setBackend('wasm')
      const a = tf.ones([32, 32])
      await tf.matMul(a, a).data()`,
    minimal: `
      import * as tf from '@tensorflow/tfjs-core'
      import '@tensorflow/tfjs-core/dist/register_all_gradients'
      import '@tensorflow/tfjs-backend-wasm'
      await tf.setBackend('wasm')
      const weight = tf.variable(tf.ones([4, 2]))
      const { grads } = tf.variableGrads(() => tf.sum(tf.matMul(tf.tensor2d([[1, 2, 3, 4]]), weight)))
      console.log(grads)`,
    assets: ['@tensorflow/tfjs-backend-wasm/wasm-out/tfjs-backend-wasm-simd.wasm'],
  },
  'jax-js-wasm': {
    load: `await import('@jax-js/jax')`,
    first: `
      const { init, defaultDevice, numpy: np } = await import('@jax-js/jax')
      await init('wasm')
      defaultDevice('wasm')
      const a = np.ones([32, 32])
      await np.matmul(a.ref, a).data()`,
    minimal: `
      import { grad, init, defaultDevice, numpy as np } from '@jax-js/jax'
      await init('wasm')
      defaultDevice('wasm')
      const loss = (weight) => np.matmul(np.array([[1, 2, 3, 4]]), weight).sum()
      console.log(grad(loss)(np.ones([4, 2])).js())`,
  },
  'pytorch-eager': {
    load: `import torch`,
    first: `
import torch
a = torch.ones(32, 32)
(a @ a).tolist()`,
  },
}

const directory = fileURLToPath(new URL('.', import.meta.url))
const run = promisify(execFile)

/** Milliseconds that `program` takes inside a fresh process, its own start not counted. */
async function inFreshProcess(name: Starting, program: string): Promise<number> {
  const [file, args] =
    name === 'pytorch-eager'
      ? [python, ['-c', `import time\nstart = time.perf_counter()\n${program}\nprint('took', (time.perf_counter() - start) * 1e3)`]]
      : [
          process.execPath,
          [
            '--input-type=module',
            '-e',
            `const start = performance.now();${program};console.log('took', performance.now() - start);process.exit(0)`,
          ],
        ]
  const { stdout } = await run(file, args, { cwd: directory }).catch((error: Error & { stderr?: string }) => {
    throw new Error(error.stderr?.match(/^\w*Error.*$/m)?.[0] ?? error.message.split('\n')[0])
  })
  return Number(stdout.match(/took ([\d.]+)/)![1])
}

/** Gzipped KiB of a browser bundle, minified, and of the files that it fetches. */
async function bundleSize({ minimal, assets = [] }: Programs): Promise<number> {
  const program = '\0program'
  const bundle = await rolldown({
    input: program,
    cwd: directory,
    platform: 'browser',
    // Some peers name these for Node behind a run-time test.
    external: /^(node:.*|fs|path|os|crypto|util|perf_hooks|worker_threads|string_decoder)$/,
    logLevel: 'silent',
    plugins: [
      {
        name: 'program',
        resolveId(id, importer) {
          if (id === program) return id
          // As if the program lay in this folder, beside the peers.
          return importer === program ? this.resolve(id, join(directory, 'startup.ts')) : undefined
        },
        load: (id) => (id === program ? minimal! : undefined),
      },
    ],
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false })
  await bundle.close()
  const require = createRequire(import.meta.url)
  const contents = [output[0].code, ...assets.map((asset) => readFileSync(require.resolve(asset)))]
  return contents.reduce((sum, bytes) => sum + gzipSync(bytes, { level: 9 }).length, 0) / 1024
}

const startupCases = [
  { name: 'import', unit: 'ms' },
  { name: 'import-and-first-matmul', unit: 'ms' },
  { name: 'bundle-gzip', unit: 'KiB' },
] as const

/** Processes are started in turns, ours first; a bundle is made once. */
export async function measureStartup(
  { peers, filter, engine, rounds }: { peers: readonly PeerName[]; filter: string; engine: string; rounds: number },
  keep: (result: { rows: Row[]; skipped: Skip[] }) => void,
): Promise<void> {
  const starting = (['ours', ...peers] as const).filter((subject): subject is Starting => subject in programs)
  for (const { name, unit } of startupCases.filter((startupCase) => startupCase.name.includes(filter))) {
    const skipped: Skip[] = []
    const samples = new Map<Starting, number[]>()
    const failed = new Set<Starting>()
    // One turn more than asked: the first finds cold files and is not counted.
    for (let round = 0; round < (unit === 'KiB' ? 2 : rounds + 1); round++) {
      for (const subject of starting) {
        const program = programs[subject]
        if (failed.has(subject) || (unit === 'KiB' && !program.minimal)) continue
        try {
          const value =
            unit === 'KiB' ? await bundleSize(program) : await inFreshProcess(subject, name === 'import' ? program.load : program.first)
          if (round > 0) samples.set(subject, [...(samples.get(subject) ?? []), value])
        } catch (error) {
          failed.add(subject)
          samples.delete(subject)
          skipped.push({ suite: 'startup', name, who: subject, reason: (error as Error).message.split('\n').slice(0, 2).join(' ') })
        }
      }
    }
    const spreads = new Map([...samples].map(([subject, values]) => [subject, spread(values)]))
    const ours = spreads.get('ours')
    const base = { suite: 'startup', name, unit, engine, mode: 'eager', threads: null, peerThreads: null } as const
    const noiseOf = (of: Spread | undefined) => (unit === 'KiB' ? null : (of?.noise ?? null))
    const oursPart = { ours: ours?.median ?? null, oursNoise: noiseOf(ours) }
    const rows: Row[] = [...spreads]
      .filter(([subject]) => subject !== 'ours')
      .map(([peerName, peer]) => ({
        ...base,
        ...oursPart,
        peer: peer.median,
        peerNoise: noiseOf(peer),
        peerName,
        ratio: ours ? peer.median / ours.median : null,
      }))
    if (ours && rows.length === 0) rows.push({ ...base, ...oursPart, peer: null, peerNoise: null, peerName: null, ratio: null })
    keep({ rows, skipped })
  }
}
