import { type WorkerBoot, workerMain } from './worker.ts'

/** A running worker, whichever kind the host has. */
export interface Thread {
  /** Whether it still runs, asked without returning to the event loop; undefined where the host cannot tell. */
  alive(): boolean | undefined
  terminate(): void
}

// The parts of Node that are used here. `process.getBuiltinModule` finds them without an import that bundlers would follow.
interface NodePort {
  postMessage(message: unknown): unknown
  unref(): void
}
interface NodeWorker {
  on(event: 'error' | 'exit', listener: (detail: unknown) => void): void
  unref(): void
  terminate(): Promise<number>
}
interface WorkerThreads {
  Worker: new (source: string, options: object) => NodeWorker
  MessageChannel: new () => { port1: NodePort; port2: NodePort }
}
interface NodeProcess {
  versions?: { node?: string }
  getBuiltinModule?(name: 'node:worker_threads'): WorkerThreads
  getBuiltinModule?(name: 'node:os'): { availableParallelism(): number }
}

function nodeProcess(): NodeProcess | undefined {
  const host = (globalThis as { process?: NodeProcess }).process
  return host?.versions?.node === undefined ? undefined : host
}

/** Why this host cannot start threads, or undefined. */
export function reasonAgainstThreads(): string | undefined {
  const node = nodeProcess()
  if (node ? node.getBuiltinModule : typeof Worker !== 'undefined' && typeof Blob !== 'undefined') return undefined
  return node
    ? 'Cotangent runs on one thread: worker threads need Node 20.16, 22.3 or later.'
    : 'Cotangent runs on one thread: this host has no web workers.'
}

/** Cores that this process may use. */
export function hardwareThreads(): number {
  return nodeProcess()?.getBuiltinModule?.('node:os').availableParallelism() ?? globalThis.navigator?.hardwareConcurrency ?? 1
}

// Compilers that keep function names may leave calls of their helper `__name` in the text.
const prelude = `'use strict'; const __name = (f) => f; const main = ${workerMain.toString()};`

/** Starts a thread on `workerMain`. `ended` is called once, from the event loop, with the error if that is how it ended. */
export function startThread(boot: WorkerBoot, ended: (error?: unknown) => void): Thread {
  const threads = nodeProcess()?.getBuiltinModule?.('node:worker_threads')
  return threads ? startNodeThread(threads, boot, ended) : startWebThread(boot, ended)
}

function startNodeThread({ Worker, MessageChannel }: WorkerThreads, boot: WorkerBoot, ended: (error?: unknown) => void): Thread {
  // Nobody reads this channel. Posting to it answers false as soon as the other end is gone, which is how a thread that
  // waits for the worker learns of its death before any event can arrive. (Node 20 to 24; other answers count as unknown.)
  const { port1, port2 } = new MessageChannel()
  port1.unref()
  const source = `${prelude} main(process.getBuiltinModule('node:worker_threads').workerData.boot)`
  const worker = new Worker(source, {
    eval: true,
    name: 'cotangent',
    // Loaders and flags of the parent are of no use to this script and slow its start.
    execArgv: [],
    env: {},
    workerData: { boot, port: port2 },
    transferList: [port2],
  })
  let error: unknown
  worker.on('error', (e) => {
    error = e
  })
  worker.on('exit', () => ended(error))
  worker.unref()
  return {
    alive: () => {
      const delivered = port1.postMessage(0)
      return typeof delivered === 'boolean' ? delivered : undefined
    },
    terminate: () => void worker.terminate(),
  }
}

function startWebThread(boot: WorkerBoot, ended: (error?: unknown) => void): Thread {
  const source = `${prelude} onmessage = (e) => { main(e.data); postMessage(0); close() }`
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  const worker = new Worker(url, { name: 'cotangent' })
  let over = false
  const end = (error?: unknown) => {
    if (over) return
    over = true
    URL.revokeObjectURL(url)
    ended(error)
  }
  worker.onmessage = () => end()
  worker.onerror = (e) => {
    worker.terminate()
    end(e.message)
  }
  worker.postMessage(boot)
  return {
    alive: () => (over ? false : undefined),
    // Nothing tells that a terminated web worker has ended; from the next turn of the event loop on it has.
    terminate: () => {
      worker.terminate()
      setTimeout(end, 0)
    },
  }
}
