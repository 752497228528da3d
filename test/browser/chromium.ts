import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

/** Where a Chromium is, or undefined. */
export const chromium: string | undefined = [
  process.env['CHROMIUM'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== undefined && existsSync(path))

const flags = [
  '--headless',
  '--remote-debugging-pipe',
  '--no-sandbox',
  '--no-first-run',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--disable-extensions',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-default-apps',
  '--disable-dev-shm-usage',
]

interface Reply {
  readonly id?: number
  readonly method?: string
  readonly sessionId?: string
  readonly params?: {
    readonly type?: string
    readonly args?: { value?: unknown; description?: string }[]
    readonly exceptionDetails?: Failure
  }
  readonly result?: Record<string, unknown>
  readonly error?: { readonly message: string }
}

interface Failure {
  readonly text: string
  readonly exception?: { readonly description?: string }
}

/** A page of a browser that is driven over the DevTools protocol, by the two pipes that Chromium opens for it. */
export interface Page {
  /** What the page logged, one `level: words` each, and the exceptions that nobody caught. */
  readonly log: readonly string[]
  goto(url: string): Promise<void>
  /** The value of an expression, a promise awaited, as JSON can carry it. Throws what the page throws. */
  evaluate<T>(expression: string): Promise<T>
  /** Any command of the DevTools protocol, e.g. `Input.dispatchKeyEvent`. */
  command(method: string, params?: object): Promise<Record<string, unknown>>
  /** What the page looks like, as a PNG, in a window of this size. */
  screenshot(size: { width: number; height: number }): Promise<Uint8Array>
}

export class Browser {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #waiting = new Map<number, { resolve: (result: Record<string, unknown>) => void; reject: (error: Error) => void }>()
  readonly #logs = new Map<string, string[]>()
  readonly #loaded = new Map<string, () => void>()
  #sent = 0
  #unread = ''
  #ended: Error | undefined

  constructor(path: string) {
    this.#profile = mkdtempSync(join(tmpdir(), 'cotangent-browser-'))
    this.#process = spawn(path, [...flags, `--user-data-dir=${this.#profile}`, 'about:blank'], {
      stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'],
      // A group of its own, so that the processes that it starts end with it.
      detached: true,
    })
    const replies = this.#process.stdio[4] as Readable
    replies.setEncoding('utf8').on('data', (text: string) => this.#read(text))
    const end = (why: string) => {
      this.#ended = new Error(`Chromium ended: ${why}`)
      for (const { reject } of this.#waiting.values()) reject(this.#ended)
    }
    this.#process.on('error', (error) => end(error.message))
    this.#process.on('exit', (code, signal) => end(String(code ?? signal)))
    ;(this.#process.stdio[3] as Writable).on('error', (error) => end(error.message))
  }

  async newPage(): Promise<Page> {
    const { targetId } = await this.#send('Target.createTarget', { url: 'about:blank' })
    const { sessionId } = (await this.#send('Target.attachToTarget', { targetId, flatten: true })) as { sessionId: string }
    const log: string[] = []
    this.#logs.set(sessionId, log)
    await this.#send('Runtime.enable', {}, sessionId)
    await this.#send('Page.enable', {}, sessionId)
    return {
      log,
      goto: async (url) => {
        const loaded = new Promise<void>((resolve) => this.#loaded.set(sessionId, resolve))
        const { errorText } = await this.#send('Page.navigate', { url }, sessionId)
        if (errorText !== undefined) throw new Error(`${url}: ${String(errorText)}`)
        await loaded
      },
      evaluate: async <T>(expression: string) => {
        const reply = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true }, sessionId)
        if (reply['exceptionDetails']) throw new Error(wordsOf(reply['exceptionDetails'] as Failure))
        return (reply['result'] as { value: T }).value
      },
      command: (method, params = {}) => this.#send(method, params, sessionId),
      screenshot: async ({ width, height }) => {
        await this.#send('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }, sessionId)
        const { data } = await this.#send('Page.captureScreenshot', { format: 'png' }, sessionId)
        return Buffer.from(data as string, 'base64')
      },
    }
  }

  async close(): Promise<void> {
    if (!this.#ended) {
      const gone = new Promise((resolve) => this.#process.once('exit', resolve))
      process.kill(-this.#process.pid!, 'SIGKILL')
      await gone
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 })
  }

  #send(method: string, params: object, sessionId?: string): Promise<Record<string, unknown>> {
    if (this.#ended) return Promise.reject(this.#ended)
    const id = ++this.#sent
    const sent = new Promise<Record<string, unknown>>((resolve, reject) => this.#waiting.set(id, { resolve, reject }))
    ;(this.#process.stdio[3] as Writable).write(
      `${JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) })}\0`,
    )
    return sent
  }

  #read(text: string): void {
    const messages = (this.#unread + text).split('\0')
    this.#unread = messages.pop()!
    for (const message of messages) this.#take(JSON.parse(message) as Reply)
  }

  #take({ id, method, sessionId = '', params, result, error }: Reply): void {
    if (id !== undefined) {
      const waiting = this.#waiting.get(id)
      this.#waiting.delete(id)
      if (error) waiting?.reject(new Error(error.message))
      else waiting?.resolve(result ?? {})
    } else if (method === 'Runtime.consoleAPICalled') {
      this.#logs.get(sessionId)?.push(`${params!.type}: ${params!.args!.map((a) => String(a.value ?? a.description)).join(' ')}`)
    } else if (method === 'Runtime.exceptionThrown') {
      this.#logs.get(sessionId)?.push(`exception: ${wordsOf(params!.exceptionDetails!)}`)
    } else if (method === 'Page.loadEventFired') {
      this.#loaded.get(sessionId)?.()
    }
  }
}

const wordsOf = ({ text, exception }: Failure): string => exception?.description ?? text
