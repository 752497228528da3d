import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Board, startBoard } from '@cotangent/cli'
import { EventFileWriter } from '@cotangent/formats/tensorboard'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeShowcase } from '../../packages/cli/test/showcase.ts'
import { buildPage } from '../../scripts/build-page.ts'
import { Browser, chromium, type Page } from './chromium.ts'

interface DrawnLine {
  name: string
  color: string
  x: number[]
  y: number[]
  raw?: number[]
}

const size = { width: 1200, height: 800 }

describe.skipIf(chromium === undefined)('the board in Chromium', { timeout: 60_000 }, () => {
  const root = mkdtempSync(join(tmpdir(), 'cotangent-board-page-'))
  let board: Board
  let browser: Browser
  let page: Page

  beforeAll(async () => {
    await Promise.all([buildPage(join(root, 'page'), { minify: false }), writeShowcase(join(root, 'runs'))])
    board = await startBoard({ folder: join(root, 'runs'), port: 0, page: join(root, 'page'), interval: 100 })
    browser = new Browser(chromium!)
    page = await browser.newPage()
    await page.command('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false })
    await emulate('light')
    await page.goto(board.url)
  }, 60_000)
  afterAll(async () => {
    await browser?.close()
    await board?.close()
    rmSync(root, { recursive: true })
  })

  const emulate = (scheme: string) =>
    page.command('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
  function expectPoll(expression: string) {
    return expect.poll(() => page.evaluate<unknown>(expression), { timeout: 10_000 })
  }
  const open = (tab: string) => page.evaluate(`location.hash = '${tab}'`)
  const text = (selector: string) => `[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.textContent.trim())`
  const click = (selector: string) => page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`)
  const key = async (name: string, code = 0) => {
    for (const type of ['rawKeyDown', 'keyUp'])
      await page.command('Input.dispatchKeyEvent', { type, key: name, code: name, windowsVirtualKeyCode: code })
  }
  /** What is drawn in the chart of a tag. */
  const drawn = (tag: string): Promise<DrawnLine[]> =>
    page.evaluate(
      `(document.querySelector('article[aria-label="${tag}"] .chart')?.lines ?? []).map(({ name, color, x, y, raw }) => ({ name, color, x: [...x], y: [...y], raw: raw && [...raw] }))`,
    )
  /** Pixels of an element that have one of the colours, nearly. */
  const pixelsOf = async (selector: string, colors: readonly string[]): Promise<number[]> => {
    const { x, y, width, height } = await page.evaluate<{ x: number; y: number; width: number; height: number }>(
      `JSON.parse(JSON.stringify(document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect()))`,
    )
    const png = PNG.sync.read(Buffer.from(await page.screenshot(size)))
    const wanted = colors.map((color) => [1, 3, 5].map((i) => parseInt(color.slice(i, i + 2), 16)))
    const found = wanted.map(() => 0)
    for (let row = Math.ceil(y); row < Math.min(size.height, y + height); row++) {
      for (let column = Math.ceil(x); column < Math.min(size.width, x + width); column++) {
        const at = (row * size.width + column) * 4
        wanted.forEach((color, i) => {
          if (color.every((channel, c) => Math.abs(png.data[at + c]! - channel) < 24)) found[i]!++
        })
      }
    }
    return found
  }

  test('draws the scalars of all runs, in their colours', async () => {
    await expectPoll(text('.run-name')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await expect
      .poll(async () => (await drawn('train/loss')).map(({ name }) => name), { timeout: 10_000 })
      .toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    const [line] = await drawn('train/loss')
    expect(line!.x).toEqual(Array.from({ length: 60 }, (_, i) => i * 50))
    const stored = [...board.store.byName('adam-lr1e-3')!.scalars.get('train/loss')!.values]
    expect(line!.raw).toEqual(stored)
    expect(line!.y[1]).toBeCloseTo((stored[0]! * 0.6 + stored[1]!) / 1.6, 6)
    const lines = await drawn('optim/grad-norm')
    const counts = await pixelsOf(
      'article[aria-label="optim/grad-norm"] .chart',
      lines.map(({ color }) => color),
    )
    for (const count of counts) expect(count).toBeGreaterThan(60)
  })

  test('switches, filters, axes and smoothing change what is drawn', async () => {
    await click('.run:nth-child(2) input[type=checkbox]')
    await expect
      .poll(async () => (await drawn('train/loss')).map(({ name }) => name), { timeout: 10_000 })
      .toEqual(['adam-lr3e-4', 'sgd-lr1e-1'])
    await page.evaluate(
      `(() => { const f = document.querySelector('.rail .filter'); f.value = '^adam'; f.dispatchEvent(new Event('input', { bubbles: true })) })()`,
    )
    await expect.poll(async () => (await drawn('train/loss')).map(({ name }) => name), { timeout: 10_000 }).toEqual(['adam-lr3e-4'])
    await page.evaluate(
      `(() => { const f = document.querySelector('.rail .filter'); f.value = '('; f.dispatchEvent(new Event('input', { bubbles: true })) })()`,
    )
    await expectPoll(`document.querySelector('.rail .filter').getAttribute('aria-invalid')`).toBe('true')
    await page.evaluate(
      `(() => { const f = document.querySelector('.rail .filter'); f.value = ''; f.dispatchEvent(new Event('input', { bubbles: true })) })()`,
    )
    await click('.rail-head button')
    await page.evaluate(
      `(() => { const s = document.querySelector('.toolbar .slider input'); s.value = 0; s.dispatchEvent(new Event('input', { bubbles: true })) })()`,
    )
    await expect
      .poll(async () => (await drawn('train/loss')).map(({ raw }) => raw), { timeout: 10_000 })
      .toEqual([undefined, undefined, undefined])
    await page.evaluate(`[...document.querySelectorAll('.choice input')][1].click()`)
    await expect.poll(async () => (await drawn('train/loss'))[0]?.x[1], { timeout: 10_000 }).toBeCloseTo(8, 3)
    await page.evaluate(`[...document.querySelectorAll('.choice input')][0].click()`)
    for (const toggle of [0, 1]) await page.evaluate(`document.querySelectorAll('.toolbar .toggle input')[${toggle}].click()`)
    // Step 0 has no place on a log axis.
    await expect.poll(async () => (await drawn('train/loss'))[0]?.x[0], { timeout: 10_000 }).toBe(50)
    for (const toggle of [0, 1]) await page.evaluate(`document.querySelectorAll('.toolbar .toggle input')[${toggle}].click()`)
  })

  test('a keyboard moves the cursor, which tells the values of all runs, and the table says them too', async () => {
    await expect.poll(async () => (await drawn('train/loss'))[0]?.x[0], { timeout: 10_000 }).toBe(0)
    await page.evaluate(`document.querySelector('article[aria-label="train/loss"] .chart').focus()`)
    await key('ArrowRight', 39)
    await expectPoll(text('article[aria-label="train/loss"] .tooltip tbody th')).toHaveLength(3)
    await expectPoll(text('article[aria-label="train/loss"] .tooltip-head')).toEqual(['Step 0'])
    await expectPoll(`document.querySelectorAll('article[aria-label="train/loss"] .dot').length`).toBe(3)
    // In the last column too, it stays on the page.
    expect(await page.evaluate(`document.querySelector('.view').scrollWidth - document.querySelector('.view').clientWidth`)).toBe(0)
    await key('+')
    await expectPoll(text('article[aria-label="train/loss"] .zoom-out')).toEqual(['Reset zoom'])
    await key('Escape', 27)
    await expectPoll(text('article[aria-label="train/loss"] .zoom-out')).toEqual([])
    await click('article[aria-label="train/loss"] button[aria-label$="as a table"]')
    await expectPoll(text('article[aria-label="train/loss"] tbody th')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await expectPoll(`document.querySelector('article[aria-label="train/loss"] tbody tr td:last-child').textContent`).toBe('2,950')
    await click('article[aria-label="train/loss"] button[aria-label$="as a table"]')
  })

  test('points appear while a run goes on', async () => {
    const writer = new EventFileWriter(join(root, 'runs', 'live'), { maxQueue: 1 })
    writer.scalar('train/loss', 2, 0)
    await expectPoll(text('.run-name')).toContain('live')
    const live = async (): Promise<number[]> => (await drawn('train/loss')).find(({ name }) => name === 'live')?.y ?? []
    await expect.poll(live, { timeout: 10_000 }).toEqual([2])
    writer.scalar('train/loss', 1, 50)
    writer.scalar('train/loss', 0.5, 100)
    await expect.poll(live, { timeout: 10_000 }).toEqual([2, 1, 0.5])
    await writer.close()
  })

  test('every view draws, and nothing breaks the policy of the page', async () => {
    await open('histograms')
    await expectPoll(`Number(document.querySelector('article .chart')?.dataset.rows) > 20`).toBe(true)
    expect((await pixelsOf('article .chart', ['#ffffff']))[0]).toBeGreaterThan(1000)
    await open('media')
    await expectPoll(`[...document.images].slice(0, 3).map((i) => [i.complete, i.naturalWidth, i.naturalHeight])`).toEqual(
      Array.from({ length: 3 }, () => [true, 64, 48]),
    )
    await page.evaluate(`document.querySelector('.toolbar .toggle input').click()`)
    const sliders = `[...document.querySelectorAll('article .steps input')]`
    await page.evaluate(`(() => { const s = ${sliders}[0]; s.value = 1; s.dispatchEvent(new Event('input', { bubbles: true })) })()`)
    await expectPoll(`${sliders}.map((s) => s.getAttribute('aria-valuetext'))`).toEqual(['500', '500', '500'])
    await expectPoll(`[...document.images].slice(0, 3).map((i) => i.alt)`).toEqual(
      ['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'].map((run) => `samples/field of ${run} at step 500`),
    )
    await open('text')
    await expectPoll(`document.querySelector('.markdown strong')?.textContent`).toBe('adam-lr1e-3')
    expect(await page.evaluate(`document.querySelector('.markdown b')`)).toBeNull()
    expect(await page.evaluate(`document.querySelector('.markdown').textContent.includes('<b>not bold</b>')`)).toBe(true)
    await open('hparams')
    await expectPoll(`document.querySelectorAll('.parallel path.on').length`).toBe(3)
    const byLoss = `[...document.querySelectorAll('.sort')].find((b) => b.textContent.startsWith('val/loss')).click()`
    await page.evaluate(byLoss)
    await expectPoll(text('.framed tbody th')).toEqual(['sgd-lr1e-1', 'adam-lr1e-3', 'adam-lr3e-4'])
    const cell = `document.querySelector('.framed tbody td:nth-last-child(2)').textContent`
    const [last, high] = [
      await page.evaluate<string>(cell),
      board.store
        .byName('sgd-lr1e-1')!
        .scalars.get('val/loss')!
        .values.reduce((a, b) => Math.max(a, b)),
    ]
    expect(Number(last)).toBeLessThan(high)
    await page.evaluate(`document.querySelectorAll('.choice input')[2].click()`)
    await expectPoll(`Number(${cell})`).toBeCloseTo(high, 3)
    await open('curves')
    await expectPoll(`document.querySelector('article .chart')?.lines?.length`).toBe(3)
    // Where nothing is predicted there is no precision.
    expect(await page.evaluate(`Math.min(...document.querySelector('article .chart').lines.flatMap(({ y }) => y))`)).toBeGreaterThan(0.2)
    await open('graph')
    await expectPoll(text('.box text:first-of-type')).toContain('matmul')
    await page.evaluate(
      `[...document.querySelectorAll('.box')].find((b) => b.textContent.includes('relu')).dispatchEvent(new MouseEvent('click', { bubbles: true }))`,
    )
    await expectPoll(text('.details h4')).toEqual(['Reads', 'Read by'])
    await open('profile')
    await expectPoll(`Number(document.querySelector('.flame')?.dataset.slices) > 10`).toBe(true)
    await expectPoll(text('.framed tbody th')).toContain('matmul')
    await open('system')
    await expectPoll(text('article h3')).toEqual(['Processor', 'Memory', 'Cores', 'Load'])
    expect(page.log).toEqual([])
  })

  test('names lines in the charts where the list of runs is closed, and sorts that by age', async () => {
    await open('scalars')
    await page.evaluate(
      `(() => { const s = document.querySelector('.rail select'); s.value = 'newest'; s.dispatchEvent(new Event('change', { bubbles: true })) })()`,
    )
    await expectPoll(text('.run-name')).toEqual(['live', 'sgd-lr1e-1', 'adam-lr3e-4', 'adam-lr1e-3'])
    expect(await page.evaluate(text('article .legend li'))).toEqual([])
    await click('.top .menu')
    await expectPoll(text('article[aria-label="optim/lr"] .legend li')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await click('.top .menu')
    await expectPoll(text('article .legend li')).toEqual([])
  })

  test('follows the system into the dark, and stays light when told', async () => {
    await open('scalars')
    const background = `getComputedStyle(document.body).backgroundColor`
    const light = await page.evaluate<string>(background)
    await emulate('dark')
    await expectPoll(background).not.toBe(light)
    await page.evaluate(
      `(() => { const s = document.querySelector('.top select'); s.value = 'light'; s.dispatchEvent(new Event('change', { bubbles: true })) })()`,
    )
    await expectPoll(background).toBe(light)
  })

  test('everything that can be operated has a name', async () => {
    const nameless = `[...document.querySelectorAll('button, a, input, select, [role=img], [role=button]')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))
      .map((e) => e.outerHTML)`
    expect(await page.evaluate(nameless)).toEqual([])
    expect(await page.evaluate(text('nav, main, header.top h1'))).toHaveLength(4)
  })
})
