import { existsSync } from 'node:fs'
import { realpath } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { CotangentError } from 'cotangent'
import { BoardApi, type Reply } from './board-api.ts'
import { BoardError } from './board-error.ts'
import { LiveStream } from './live-stream.ts'
import { checkRequest, namesOf, securityHeaders } from './request-guard.ts'
import { RunStore } from './run-store.ts'
import { staticFile } from './static-files.ts'
import { SystemMonitor } from './system-monitor.ts'

/** Where runs are looked for, and where the board is served. */
export interface BoardOptions {
  /** The folder with runs. */
  folder: string
  /** 0 takes a free one. */
  port?: number
  /** The address to listen on; this machine alone by default. */
  host?: string
  /** Further names by which browsers may call the board, e.g. behind a proxy. */
  allowHosts?: readonly string[]
  /** Milliseconds between two looks at the files. */
  interval?: number
  /** Where the built page lies. */
  page?: string
}

/** A running board. */
export interface Board {
  readonly url: string
  readonly store: RunStore
  close(): Promise<void>
}

/** Beside the built command, and where a build puts it when the command runs from its sources. */
const builtPage = (): string | undefined =>
  ['../ui', './ui', '../../dist/ui']
    .map((path) => fileURLToPath(new URL(path, import.meta.url)))
    .find((path) => existsSync(join(path, 'index.html')))

/**
 * Serves a web page that shows the runs under a folder, live.
 *
 * @throws CotangentError when the folder cannot be read, the port is taken, or the page was not built.
 */
export async function startBoard(options: BoardOptions): Promise<Board> {
  const { folder, port = 6006, host = '127.0.0.1', allowHosts = [], interval = 1000, page = builtPage() } = options
  if (page === undefined) {
    throw new CotangentError('invalid-argument', {
      op: 'board',
      message: 'its page was not built',
      hint: 'Run `npm run build` in the repository.',
    })
  }
  const store = await RunStore.open(folder, { interval }).catch((error: NodeJS.ErrnoException) => {
    throw new CotangentError('invalid-argument', {
      op: 'board',
      message: `${JSON.stringify(folder)} cannot be read (${error.code ?? error.message})`,
      hint: 'Name the folder that your runs are written to.',
      cause: error,
    })
  })
  const live = new LiveStream(store)
  const monitor = new SystemMonitor((sample) => live.sample(sample))
  const api = new BoardApi(store, monitor)
  const pageFolder = await realpath(page)
  const names = new Set([...namesOf(host), ...allowHosts.map((name) => name.toLowerCase())])

  const handle = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    checkRequest(request, names)
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://board')
    if (pathname === '/api/live') return live.add(response, securityHeaders)
    const reply = pathname.startsWith('/api/')
      ? await api.answer(pathname.slice(5), searchParams)
      : await staticFile(pageFolder, decode(pathname))
    return send(request, response, reply)
  }
  const server = createServer({ maxHeaderSize: longestRequest }, (request, response) => {
    handle(request, response).catch((error: unknown) => sendError(response, error))
  })
  const close = async (): Promise<void> => {
    live.close()
    monitor.close()
    await store.close()
    server.closeAllConnections()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  try {
    await listen(server, port, host)
  } catch (error) {
    await close()
    throw error
  }
  const { port: bound } = server.address() as AddressInfo
  const name = host === '127.0.0.1' || host === '0.0.0.0' || host === '::' ? 'localhost' : host.includes(':') ? `[${host}]` : host
  return { url: `http://${name}:${bound}/`, store, close }
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const [message, hint] =
        cause.code === 'EADDRINUSE'
          ? [`port ${port} is taken`, 'Another board may be running; or choose with --port, where 0 takes any that is free.']
          : [`cannot listen on ${host}:${port} (${cause.code ?? cause.message})`, 'Choose another --host or --port.']
      reject(new CotangentError('invalid-argument', { op: 'board', message, hint, cause }))
    })
    server.listen(port, host, resolve)
  })
}

/** Without percent signs; what does not decode names no file. */
function decode(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw new BoardError(400, `${JSON.stringify(path)} is no address`)
  }
}

/** Bytes of a request: addresses name runs by their numbers, five bytes each at worst. */
const longestRequest = 2 ** 18

const compress = promisify(gzip)
/** Below this many bytes, packing takes longer than sending. */
const worthPacking = 4096

async function send(request: IncomingMessage, response: ServerResponse, { type, body, headers }: Reply): Promise<void> {
  const all: Record<string, string> = { 'Cache-Control': 'no-store', ...securityHeaders, ...headers, 'Content-Type': type }
  if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
    response.writeHead(200, all)
    if (request.method === 'HEAD') return (void body.destroy(), void response.end())
    return pipeline(body, response)
  }
  let bytes: Uint8Array = typeof body === 'string' ? Buffer.from(body) : body
  // Numbers hardly shrink, and a loopback is fast.
  const packs = /^(text|application\/json)/.test(type) && /\bgzip\b/.test(String(request.headers['accept-encoding']))
  if (packs && bytes.length > worthPacking) {
    bytes = await compress(bytes, { level: 1 })
    all['Content-Encoding'] = 'gzip'
  }
  response.writeHead(200, { ...all, 'Content-Length': String(bytes.length) })
  response.end(request.method === 'HEAD' ? undefined : bytes)
}

function sendError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) return void response.destroy()
  const [status, hint] = error instanceof BoardError ? [error.status, error.hint] : [500, undefined]
  response.writeHead(status, { ...securityHeaders, 'Content-Type': 'application/json', 'Cache-Control': 'no-store' })
  response.end(JSON.stringify({ error: (error as Error).message, hint }))
}
