import { readFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { rolldown } from 'rolldown'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type * as page from '../../packages/formats/test/browser-page.ts'
import { Browser, chromium, type Page } from './chromium.ts'

const formats = join(import.meta.dirname, '../../packages/formats/test')

type Answer<K extends keyof typeof page> = Awaited<ReturnType<(typeof page)[K]>>

describe.skipIf(chromium === undefined)('file formats in Chromium', { timeout: 60_000 }, () => {
  let server: Server
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    const bundle = await rolldown({
      input: join(formats, 'browser-page.ts'),
      platform: 'browser',
      resolve: { conditionNames: ['browser', 'source', 'import', 'default'] },
      treeshake: { moduleSideEffects: true },
    })
    const { output } = await bundle.generate({ format: 'esm', minify: true, codeSplitting: false })
    await bundle.close()
    server = createServer((request, response) => {
      const script = request.url === '/page.js'
      const table = request.url === '/table.parquet'
      response.writeHead(200, {
        'Content-Type': script ? 'text/javascript; charset=utf-8' : table ? 'application/octet-stream' : 'text/html; charset=utf-8',
      })
      if (script) response.end(output[0].code)
      else if (table) response.end(readFileSync(join(formats, 'fixtures/table-zstd.parquet')))
      else
        response.end(
          '<!doctype html><title>page</title><link rel=icon href=data:,><script type=module>import * as page from "./page.js"; window.page = page</script>',
        )
    })
    await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
    browser = new Browser(chromium!)
    page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    server?.close()
  })

  test('pictures', async () => {
    const pixels = [0, 100, 255, 7, 8, 9]
    const { shape, pixels: back, broken } = await page.evaluate<Answer<'picture'>>(`page.picture(${JSON.stringify(pixels)}, 3)`)
    expect(shape).toEqual([1, 2, 3])
    expect(back).toEqual(pixels)
    expect(broken).toBe('bad-record')
    const grey = await page.evaluate<Answer<'picture'>>(`page.picture(${JSON.stringify(pixels)}, 1)`)
    expect(grey.pixels).toEqual(pixels)
  })

  test('tables', async () => {
    const { batches, error } = await page.evaluate<Answer<'table'>>(`page.table('x,name\\n1.5,"a,b"\\n,c\\n3,größe\\n')`)
    expect(batches).toEqual([
      { x: [1.5, null], name: ['a,b', 'c'] },
      { x: [3], name: ['größe'] },
    ])
    expect(error).toMatch(/^readCsv: bad\.csv:2: .*"a" is no number/)
    expect(await page.evaluate<Answer<'parquet'>>(`page.parquet('/table.parquet')`)).toEqual([
      { id: 0, name: 'größe 0' },
      { id: 1, name: 'größe 1' },
    ])
  })

  test('records and events', async () => {
    expect(await page.evaluate<Answer<'records'>>('page.records()')).toEqual([0, 1, 2].map((id) => ({ id, name: `größe ${id}` })))
    expect(await page.evaluate<Answer<'events'>>('page.events()')).toEqual({ kinds: ['fileVersion', 'scalar', 'image'], pixels: [0, 255] })
  })
})
