import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setEngine } from 'cotangent'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Browser, chromium, type Page } from './chromium.ts'
import { fitBesideTimers, longLoop, train, trainCompiled, workerTrap } from './page.ts'

const megabyte = 2 ** 20

/** The page and the library as one script, made from the sources. */
async function bundled(): Promise<string> {
  const bundle = await rolldown({
    input: new URL('page.ts', import.meta.url).pathname,
    platform: 'browser',
    resolve: { conditionNames: ['source', 'import', 'default'] },
    treeshake: { moduleSideEffects: true },
  })
  const { output } = await bundle.generate({ format: 'esm', minify: true })
  await bundle.close()
  return output[0].code
}

const isolation = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' }

/** Serves the page, under /isolated/ with the headers that shared memory needs. */
async function serve(script: string): Promise<Server> {
  const server = createServer((request, response) => {
    const isScript = request.url?.endsWith('.js')
    response.writeHead(200, {
      'Content-Type': `${isScript ? 'text/javascript' : 'text/html'}; charset=utf-8`,
      ...(request.url?.startsWith('/isolated/') && isolation),
    })
    response.end(
      isScript
        ? script
        : '<!doctype html><title>page</title><link rel=icon href=data:,><script type=module>import * as page from "./page.js"; window.page = page</script>',
    )
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  return server
}

if (chromium === undefined)
  console.warn('browser tests are skipped: no Chromium found (Debian: apt-get install chromium, or set CHROMIUM to its path)')

describe.skipIf(chromium === undefined)('in Chromium', { timeout: 60_000 }, () => {
  let server: Server
  let browser: Browser
  const open = async (folder: string): Promise<Page> => {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}${folder}`)
    return page
  }

  beforeAll(async () => {
    server = await serve(await bundled())
    browser = new Browser(chromium!)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  type Trained = Awaited<ReturnType<typeof train>>

  const expectSame = (actual: Trained, wanted: Trained) => {
    expect(actual.engine).toBe('wasm')
    actual.losses.forEach((loss, i) => expect(loss).toBeCloseTo(wanted.losses[i]!, 5))
    actual.predictions.forEach((p, i) => expect(p).toBeCloseTo(wanted.predictions[i]!, 4))
    expect(actual.checksum / wanted.checksum).toBeCloseTo(1, 5)
  }

  test('a cross-origin isolated page trains on several threads, to the numbers of Node', async () => {
    const page = await open('/isolated/')
    expect(await page.evaluate('crossOriginIsolated')).toBe(true)
    const cores = await page.evaluate<number>('navigator.hardwareConcurrency')
    const trained = await page.evaluate<Trained>('page.train()')
    expect(trained.threads).toBe(cores)
    setEngine('wasm')
    const here = await train()
    expectSame(trained, here)
    expect(here.losses.at(-1)).toBeLessThan(0.05)
    expect(page.log).toEqual([])
  })

  test('a page without isolation trains on one thread and says so once', async () => {
    const page = await open('/')
    expect(await page.evaluate('crossOriginIsolated')).toBe(false)
    const trained = await page.evaluate<Trained>('page.train()')
    await page.evaluate('page.train()')
    expect(trained.threads).toBe(1)
    setEngine('wasm')
    expectSame(trained, await train())
    expect(page.log.length).toBe(1)
    expect(page.log[0]).toMatch(/^warning: .*not cross-origin isolated.*one thread/)
  })

  test.each(['/', '/isolated/'])('a compiled step trains at %s, to the numbers of Node and without a byte more', async (folder) => {
    const page = await open(folder)
    const there = await page.evaluate<Awaited<ReturnType<typeof trainCompiled>>>('page.trainCompiled()')
    setEngine('wasm')
    const here = await trainCompiled()
    there.losses.forEach((loss, i) => expect(loss).toBeCloseTo(here.losses[i]!, 4))
    expect(there.losses.at(-1)).toBeLessThan(there.losses[0]! / 2)
    expect(there.after).toBe(there.before)
    expect(here.after).toBe(here.before)
  })

  type Fitted = Awaited<ReturnType<typeof fitBesideTimers>>
  const expectFitted = ({ losses, seconds, ticks }: Fitted) => {
    expect(seconds).toBeLessThan(10)
    expect(losses.at(-1)).toBeLessThan(losses[0]!)
    expect(ticks).toBeGreaterThan(2)
  }

  test.each(['/', '/isolated/'])('fit trains at %s, and timers have their turns meanwhile', async (folder) => {
    const page = await open(folder)
    expectFitted(await page.evaluate<Fitted>('page.fitBesideTimers()'))
    expect(page.log.filter((line) => !line.includes('isolated'))).toEqual([])
  })

  test('fit gives timers their turns in Node', async () => {
    setEngine('wasm')
    expectFitted(await fitBesideTimers())
  })

  test('an error in a worker is an error in the page', async () => {
    const page = await open('/isolated/')
    const there = await page.evaluate<Awaited<ReturnType<typeof workerTrap>>>('page.workerTrap()')
    expect(there).toEqual(await workerTrap())
    expect(there).toMatchObject({ code: 'engine-failure', threads: 2 })
  })

  test.each(['/', '/isolated/'])('memory is flat in a long loop at %s', async (folder) => {
    const page = await open(folder)
    // 4000 rows of 64 numbers are a megabyte, and a step makes several: the loop as a whole makes gigabytes.
    const use = await page.evaluate<number[]>('page.longLoop(400, 4000)')
    expect(use.length).toBe(10)
    expect(Math.max(...use)).toBeLessThan(300 * megabyte)
    expect(page.log.filter((line) => !line.includes('isolated'))).toEqual([])
  })

  test('the same loop is flat in Node', async () => {
    setEngine('wasm')
    expect(Math.max(...(await longLoop(400, 4000)))).toBeLessThan(300 * megabyte)
  })
})
