import type { ServerResponse } from 'node:http'
import type { LiveMessage, SystemSample } from './protocol.ts'
import type { RunStore } from './run-store.ts'

/** News within this many milliseconds is one message: a page redraws no faster. */
const pause = 400

/** Sends what changes to every page that listens, as server-sent events. */
export class LiveStream {
  readonly #pages = new Set<ServerResponse>()
  readonly #store: RunStore
  readonly #unlisten: () => void
  readonly #changed = new Set<number>()
  #structure = false
  #timer: NodeJS.Timeout | undefined

  constructor(store: RunStore) {
    this.#store = store
    this.#unlisten = store.listen(({ runs, structure }) => {
      for (const run of runs) this.#changed.add(run)
      this.#structure ||= structure
      this.#timer ??= setTimeout(() => this.#flush(), pause)
    })
  }

  /** Keeps the response open and writes to it until the page goes. */
  add(response: ServerResponse, headers: Record<string, string>): void {
    response.writeHead(200, { ...headers, 'Content-Type': 'text/event-stream', 'Cache-Control': 'no-store' })
    response.write('retry: 1000\n\n')
    this.#pages.add(response)
    response.on('close', () => this.#pages.delete(response))
  }

  sample(sample: SystemSample): void {
    this.#send({ type: 'system', sample })
  }

  close(): void {
    this.#unlisten()
    clearTimeout(this.#timer)
    for (const page of this.#pages) page.end()
  }

  #flush(): void {
    this.#timer = undefined
    this.#send({ type: 'change', runs: [...this.#changed], structure: this.#structure, loading: this.#store.bytes })
    this.#changed.clear()
    this.#structure = false
  }

  #send(message: LiveMessage): void {
    const text = `data: ${JSON.stringify(message)}\n\n`
    // A page that does not read would pile messages up here: it is let go, and comes back by itself when it reads again.
    for (const page of this.#pages)
      if (page.writableLength < 2 ** 20) page.write(text)
      else page.destroy()
  }
}
