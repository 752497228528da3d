import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { extname, join } from 'node:path'
import { tensor, uniform } from 'cotangent'
import * as data from 'cotangent/data'
import { build } from 'vite'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser, chromium } from './chromium.ts'

const types: Readonly<Record<string, string>> = { '.js': 'text/javascript', '.html': 'text/html' }

describe.skipIf(chromium === undefined)('a page that Vite built', { timeout: 60_000 }, () => {
  let folder: string
  let server: Server
  let browser: Browser

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'worker-app-'))
    await build({
      root: join(import.meta.dirname, 'worker-app'),
      logLevel: 'error',
      resolve: { conditions: ['source', 'browser', 'import', 'default'] },
      worker: { format: 'es' },
      build: { outDir: folder, emptyOutDir: true, target: 'esnext' },
    })
    server = createServer((request, response) => {
      const path = request.url === '/' ? '/index.html' : request.url!
      readFile(join(folder, path)).then(
        (body) => response.writeHead(200, { 'Content-Type': types[extname(path)] ?? 'application/octet-stream' }).end(body),
        () => response.writeHead(404).end(),
      )
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    browser = new Browser(chromium!)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    server?.close()
    await rm(folder, { recursive: true })
  })

  test('maps in web workers, with the random numbers that Node draws', async () => {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    const { elements, left } = await page.evaluate<{ elements: unknown[]; left: string[] }>('page.run(2)')
    const here = data.Dataset.range(8)
      .map((x, { generator }) => [tensor([2 * x]).toArray(), uniform([2], { generator }).toArray(), 'undefined'], { seed: 3 })
      .enumerate()
      .filter(([i]) => i !== 6)
      .map(([, element]) => element)
    expect(elements).toEqual([...here])
    expect(left).toEqual([expect.stringMatching(/^mapInWorkers: element 6 of range: not this one/)])
  })
})
