import { CotangentError } from '../errors.ts'
import type { WorkerCall, WorkerReply } from './worker-message.ts'

/** A worker of the browser, or one of Node's `worker_threads`. */
export type AnyWorker = NodeWorker | WebWorker

interface NodeWorker {
  postMessage(message: unknown, transfer?: ArrayBuffer[]): void
  on(event: string, listener: (detail: unknown) => void): unknown
  ref(): void
  unref(): void
  terminate(): Promise<unknown>
}

interface WebWorker {
  postMessage(message: unknown, transfer: ArrayBuffer[]): void
  addEventListener(event: 'message' | 'error' | 'messageerror', listener: (event: unknown) => void): void
  terminate(): void
}

interface LineHandlers {
  reply(reply: WorkerReply): void
  /** The worker is no more. */
  ended(error: Error): void
}

/** This program's end of the line to a worker, whichever kind it is. */
export interface Line {
  post(call: WorkerCall, transfer: ArrayBuffer[]): void
  /** Whether the program has to live as long as the worker. */
  hold(on: boolean): void
  close(): Promise<void>
}

export function lineTo(worker: AnyWorker, { reply, ended }: LineHandlers): Line {
  // What is told to have ended writes no more.
  const stop = async (why: Error) => {
    await worker.terminate()
    if (!('on' in worker)) await new Promise((done) => setTimeout(done, dyingMs))
    ended(why)
  }
  const undeliverable = () => void stop(new Error('a message could not be read'))
  if ('on' in worker) {
    worker.on('message', (message) => reply(message as WorkerReply))
    worker.on('error', (error) => ended(error as Error))
    worker.on('messageerror', undeliverable)
    worker.on('exit', (code) => ended(new Error(`it ended with code ${String(code)}`)))
    return {
      post: (call, transfer) => worker.postMessage(call, transfer),
      hold: (on) => (on ? worker.ref() : worker.unref()),
      close: async () => void (await worker.terminate()),
    }
  }
  worker.addEventListener('message', (event) => reply((event as { data: WorkerReply }).data))
  worker.addEventListener(
    'error',
    (event) => void stop(new Error((event as { message?: string }).message ?? 'its module could not be loaded')),
  )
  worker.addEventListener('messageerror', undeliverable)
  return {
    post: (call, transfer) => worker.postMessage(call, transfer),
    hold: () => {},
    close: async () => void stop(new Error('it was terminated')),
  }
}

/** Browsers do not say when a worker that was terminated has come to its end: what it is in the middle of, it may still finish. */
const dyingMs = 500

interface WorkerThreads {
  Worker: new (source: string, options: object) => NodeWorker
}
interface NodeProcess {
  readonly env: Readonly<Record<string, string | undefined>>
  getBuiltinModule?(name: 'node:worker_threads'): WorkerThreads | undefined
}

/**
 * What runs in a thread of Node before the module. Loaders that the program was started with are there too, except that tsx, which Node
 * before 22.18 needs for TypeScript, knows only the main thread.
 */
const nodeSource = `
const { parentPort, workerData } = process.getBuiltinModule('node:worker_threads')
async function load(module) {
  if (/\\.[mc]?tsx?$/.test(module) && !process.features.typescript && process.execArgv.some((arg) => /tsx/.test(arg))) {
    const require = process.getBuiltinModule('node:module').createRequire(module)
    require('tsx/cjs/api').register()
    const tsx = require.resolve('tsx/esm/api').replace(/cjs$/, 'mjs')
    const { register } = await import(process.getBuiltinModule('node:url').pathToFileURL(tsx))
    register()
  }
  await import(module)
  if (parentPort.listenerCount('message') === 0) throw new Error('the module passes no function to inWorker()')
}
load(workerData.module).catch((error) => {
  const { name, message, stack } = error instanceof Error ? error : new Error(String(error))
  parentPort.postMessage({ cotangent: 'unusable', error: { name, message, stack } })
})`

/** Starts a worker on a module. */
export function startWorker(module: URL): AnyWorker {
  const node = (globalThis as { process?: NodeProcess }).process
  const threads = node?.getBuiltinModule?.('node:worker_threads')
  // Node has threads without web workers.
  if (node && threads) {
    return new threads.Worker(nodeSource, {
      eval: true,
      name: 'cotangent data',
      env: { ...node.env, COTANGENT_THREADS: '1' },
      workerData: { module: module.href },
    })
  }
  const Web = (globalThis as { Worker?: new (url: URL, options: object) => WebWorker }).Worker
  if (Web) return new Web(module, { type: 'module', name: 'cotangent data' })
  throw new CotangentError('unsupported', {
    op: 'mapInWorkers',
    message: 'this host cannot start workers',
    hint: 'Node needs version 20.16, 22.3 or later. map() does the same in this thread.',
  })
}
