import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Work } from './case.ts'
import type { Greeting, Reply } from './host.ts'
import type { PeerFacts, PeerOptions } from './peer.ts'

export const subjectNames = [
  'ours',
  'ours-eager',
  'ours-wasm',
  'tfjs-wasm',
  'jax-js-wasm',
  'onnxruntime',
  'onednn',
  'fma-peak',
  'pytorch-eager',
  'pytorch-compile',
  'tensorflow',
] as const
export type SubjectName = (typeof subjectNames)[number]
/** Who can be compared with in any suite. */
export type PeerName = Exclude<SubjectName, `ours${string}`>

/** What to do about a missing one. */
export const remedies = {
  ours: 'npm run build at the root, then npm install in bench',
  'ours-eager': 'npm run build at the root, then npm install in bench',
  'ours-wasm': 'npm run build at the root, then npm install in bench',
  'tfjs-wasm': 'npm install in bench',
  'jax-js-wasm': 'npm install in bench',
  onnxruntime: 'npm install in bench',
  onednn: 'a C++ compiler and oneDNN, as @cotangent/native needs them',
  'fma-peak': 'a C++ compiler',
  'pytorch-eager': 'pip install torch, and COTANGENT_BENCH_PYTHON=/path/to/that/python',
  'pytorch-compile': 'as pytorch-eager, and a C++ compiler',
  tensorflow: 'pip install tensorflow, and COTANGENT_BENCH_TENSORFLOW=/path/to/that/python',
} as const satisfies Record<SubjectName, string>

export const python = process.env.COTANGENT_BENCH_PYTHON ?? 'python3'

/** The Wasm engine with the addon of `@cotangent/native`. */
export const withNative = 'wasm+native'

/** What turns the addon on and off in processes of ours. */
export const nativeSwitch = (engine: string): Record<string, string> => ({ COTANGENT_NATIVE: engine === withNative ? '1' : '0' })

/** One call, which may build a model and compile it, may not take longer; a peer that does is stopped and the case is skipped for it. */
const timeLimitMs = 600_000

const here = (file: string) => fileURLToPath(new URL(file, import.meta.url))

function command(name: SubjectName, options: PeerOptions): { file: string; args: string[]; env?: Record<string, string> } {
  const json = JSON.stringify(options)
  if (name === 'pytorch-eager' || name === 'pytorch-compile') {
    const threads = String(options.threads)
    return {
      file: python,
      args: [here('peers/pytorch.py'), json, name.replace('pytorch-', '')],
      env: { OMP_NUM_THREADS: threads, MKL_NUM_THREADS: threads },
    }
  }
  if (name === 'tensorflow') return { file: process.env.COTANGENT_BENCH_TENSORFLOW ?? 'python3', args: [here('peers/tf_data.py'), json] }
  const ours = name.startsWith('ours')
  const args = [...process.execArgv, here('host.ts'), ours ? 'ours' : name, json]
  if (!ours) return { file: process.execPath, args }
  return { file: process.execPath, args, env: nativeSwitch(name === 'ours-wasm' ? 'wasm' : options.engine) }
}

/**
 * Whoever is timed, ours or a peer: a long-lived process of its own, so that no heap, thread pool or crash of one touches another.
 * A process that dies or hangs costs the case it was at; the next case starts a new one.
 */
export class Subject {
  readonly name: SubjectName
  readonly facts: PeerFacts
  readonly #options: PeerOptions
  #child: ChildProcessWithoutNullStreams
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | undefined
  #ended: string | undefined
  #stderr = ''
  #id = 0

  static async open(name: SubjectName, options: PeerOptions): Promise<Subject> {
    const { child, greeting } = await start(name, options)
    return new Subject(name, options, child, greeting)
  }

  private constructor(name: SubjectName, options: PeerOptions, child: ChildProcessWithoutNullStreams, facts: PeerFacts) {
    this.name = name
    this.facts = facts
    this.#options = options
    this.#child = child
    this.#listen()
  }

  /** Seconds per iteration of `work`. The first call also builds it, outside the timed span. */
  async time(work: Work, iterations: number): Promise<{ seconds: number; note: string | undefined; threads: number }> {
    if (this.#ended) {
      this.#child = (await start(this.name, this.#options)).child
      this.#ended = undefined
      this.#listen()
    }
    const { seconds, note, threads = this.facts.threads } = await this.#ask({ time: work, iterations })
    if (seconds === undefined) throw new Error('answered without a time')
    return { seconds, note, threads }
  }

  /** Bytes of resident memory that building `work` and three steps take at most, above what there was before. */
  async peakMemory(work: Work): Promise<{ bytes: number; note: string | undefined }> {
    const { bytes, note } = await this.#ask({ memory: work })
    if (bytes === undefined) throw new Error('answered without a number of bytes')
    return { bytes, note }
  }

  /** Lets go of the inputs and weights of the last case. */
  async release(): Promise<void> {
    if (!this.#ended) await this.#ask({ release: true })
  }

  close(): void {
    this.#child.kill()
  }

  #listen(): void {
    const child = this.#child
    this.#stderr = ''
    createInterface({ input: child.stdout }).on('line', (line) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      waiting?.resolve(JSON.parse(line) as Reply)
    })
    child.stderr.on('data', (chunk) => (this.#stderr = (this.#stderr + String(chunk)).slice(-2000)))
    child.stdin.on('error', (error) => this.#fail(error.message))
    child.on('exit', (code, signal) => {
      // One that was stopped may end only after its successor has started.
      if (child === this.#child) this.#fail(`its process ended (${signal ?? code}) ${this.#stderr.trim().split('\n').at(-1) ?? ''}`)
    })
  }

  #fail(reason: string): void {
    this.#ended ??= reason
    const waiting = this.#waiting
    this.#waiting = undefined
    waiting?.reject(new Error(reason.trim()))
  }

  async #ask(request: object): Promise<Reply> {
    const timer = setTimeout(() => {
      this.#fail(`took over ${timeLimitMs / 1e3} s`)
      this.#child.kill('SIGKILL')
    }, timeLimitMs)
    try {
      const reply = await new Promise<Reply>((resolve, reject) => {
        this.#waiting = { resolve, reject }
        this.#child.stdin.write(`${JSON.stringify({ id: ++this.#id, ...request })}\n`)
      })
      if (reply.error !== undefined) throw new Error(reply.error)
      return reply
    } finally {
      clearTimeout(timer)
    }
  }
}

async function start(name: SubjectName, options: PeerOptions): Promise<{ child: ChildProcessWithoutNullStreams; greeting: PeerFacts }> {
  const { file, args, env } = command(name, options)
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: 'pipe' })
  const greeting = await new Promise<Greeting>((resolve) => {
    let stderr = ''
    const lines = createInterface({ input: child.stdout })
    lines.once('line', (line) => {
      lines.close()
      child.removeAllListeners()
      resolve(JSON.parse(line) as Greeting)
    })
    child.stderr.on('data', (chunk) => (stderr += String(chunk)))
    child.on('error', (error) => resolve({ error: error.message }))
    child.on('exit', () => resolve({ error: stderr.trim().split('\n').at(-1) || 'its process ended at once' }))
  })
  child.stderr.removeAllListeners('data')
  if ('error' in greeting) {
    child.kill()
    throw new Error(greeting.error)
  }
  return { child, greeting }
}
