import { join } from 'node:path'
import { EventFileWriter } from '@cotangent/formats/tensorboard'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { writeShowcase } from '../../packages/cli/test/showcase.ts'
import { BoardPage, expectDrawn, expectPage, text } from './board-page.ts'
import { chromium, type Page } from './chromium.ts'

describe.skipIf(chromium === undefined)('the board in Chromium', { timeout: 60_000 }, () => {
  let opened: BoardPage
  let page: Page

  beforeAll(async () => {
    opened = await BoardPage.open(writeShowcase)
    page = opened.page
  }, 60_000)
  afterAll(() => opened?.close())

  test('draws the scalars of all runs, in their colours', async () => {
    await expectPage(opened, text('.run-name')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await expectDrawn(opened, 'train/loss').toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    const [line] = await opened.drawn('train/loss')
    expect(line!.x).toEqual(Array.from({ length: 60 }, (_, i) => i * 50))
    const stored = [...opened.board.store.byName('adam-lr1e-3')!.scalars.get('train/loss')!.values]
    expect(line!.raw).toEqual(stored)
    expect(line!.y[1]).toBeCloseTo((stored[0]! * 0.6 + stored[1]!) / 1.6, 6)
    const lines = await opened.drawn('optim/grad-norm')
    const counts = await opened.pixelsOf(
      'article[aria-label="optim/grad-norm"] .chart',
      lines.map(({ color }) => color),
    )
    for (const count of counts) expect(count).toBeGreaterThan(60)
  })

  test('switches, filters, axes and smoothing change what is drawn', async () => {
    await opened.click('.run:nth-child(2) input[type=checkbox]')
    await expectDrawn(opened, 'train/loss').toEqual(['adam-lr3e-4', 'sgd-lr1e-1'])
    await opened.enter('.rail .filter', '^adam')
    await expectDrawn(opened, 'train/loss').toEqual(['adam-lr3e-4'])
    await opened.enter('.rail .filter', '(')
    await expectPage(opened, `document.querySelector('.rail .filter').getAttribute('aria-invalid')`).toBe('true')
    await opened.enter('.rail .filter', '')
    await opened.click('.rail-head button')
    await opened.enter('.toolbar .slider input', 0)
    await expectDrawn(opened, 'train/loss', (lines) => lines.map(({ raw }) => raw)).toEqual([undefined, undefined, undefined])
    await page.evaluate(`[...document.querySelectorAll('.choice input')][1].click()`)
    await expectDrawn(opened, 'train/loss', (lines) => lines[0]?.x[1]).toBeCloseTo(8, 3)
    await page.evaluate(`[...document.querySelectorAll('.choice input')][0].click()`)
    for (const toggle of [0, 1]) await page.evaluate(`document.querySelectorAll('.toolbar .toggle input')[${toggle}].click()`)
    // Step 0 has no place on a log axis.
    await expectDrawn(opened, 'train/loss', (lines) => lines[0]?.x[0]).toBe(50)
    for (const toggle of [0, 1]) await page.evaluate(`document.querySelectorAll('.toolbar .toggle input')[${toggle}].click()`)
  })

  test('a keyboard moves the cursor, which tells the values of all runs, and the table says them too', async () => {
    await expectDrawn(opened, 'train/loss', (lines) => lines[0]?.x[0]).toBe(0)
    await page.evaluate(`document.querySelector('article[aria-label="train/loss"] .chart').focus()`)
    await opened.key('ArrowRight', 39)
    await expectPage(opened, text('article[aria-label="train/loss"] .tooltip tbody th')).toHaveLength(3)
    await expectPage(opened, text('article[aria-label="train/loss"] .tooltip-head')).toEqual(['Step 0'])
    await expectPage(opened, `document.querySelectorAll('article[aria-label="train/loss"] .dot').length`).toBe(3)
    // In the last column too, it stays on the page.
    expect(await page.evaluate(`document.querySelector('.view').scrollWidth - document.querySelector('.view').clientWidth`)).toBe(0)
    await opened.key('+')
    await expectPage(opened, text('article[aria-label="train/loss"] .zoom-out')).toEqual(['Reset zoom'])
    await opened.key('Escape', 27)
    await expectPage(opened, text('article[aria-label="train/loss"] .zoom-out')).toEqual([])
    await opened.click('article[aria-label="train/loss"] button[aria-label$="as a table"]')
    await expectPage(opened, text('article[aria-label="train/loss"] tbody th')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await expectPage(opened, `document.querySelector('article[aria-label="train/loss"] tbody tr td:last-child').textContent`).toBe('2,950')
    await opened.click('article[aria-label="train/loss"] button[aria-label$="as a table"]')
  })

  test('points appear while a run goes on', async () => {
    const writer = new EventFileWriter(join(opened.runs, 'live'), { maxQueue: 1 })
    writer.scalar('train/loss', 2, 0)
    await expectPage(opened, text('.run-name')).toContain('live')
    const live = async (): Promise<number[]> => (await opened.drawn('train/loss')).find(({ name }) => name === 'live')?.y ?? []
    await expect.poll(live, { timeout: 10_000 }).toEqual([2])
    writer.scalar('train/loss', 1, 50)
    writer.scalar('train/loss', 0.5, 100)
    await expect.poll(live, { timeout: 10_000 }).toEqual([2, 1, 0.5])
    await writer.close()
  })

  test('every view draws, and nothing breaks the policy of the page', async () => {
    await opened.view('histograms')
    await expectPage(opened, `Number(document.querySelector('article .chart')?.dataset.rows) > 20`).toBe(true)
    expect((await opened.pixelsOf('article .chart', ['#ffffff']))[0]).toBeGreaterThan(1000)
    await opened.view('media')
    await expectPage(opened, `[...document.images].slice(0, 3).map((i) => [i.complete, i.naturalWidth, i.naturalHeight])`).toEqual(
      Array.from({ length: 3 }, () => [true, 64, 48]),
    )
    await page.evaluate(`document.querySelector('.toolbar .toggle input').click()`)
    const sliders = `[...document.querySelectorAll('article .steps input')]`
    await page.evaluate(`(() => { const s = ${sliders}[0]; s.value = 1; s.dispatchEvent(new Event('input', { bubbles: true })) })()`)
    await expectPage(opened, `${sliders}.map((s) => s.getAttribute('aria-valuetext'))`).toEqual(['500', '500', '500'])
    await expectPage(opened, `[...document.images].slice(0, 3).map((i) => i.alt)`).toEqual(
      ['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'].map((run) => `samples/field of ${run} at step 500`),
    )
    await opened.view('text')
    await expectPage(opened, `document.querySelector('.markdown strong')?.textContent`).toBe('adam-lr1e-3')
    expect(await page.evaluate(`document.querySelector('.markdown b')`)).toBeNull()
    expect(await page.evaluate(`document.querySelector('.markdown').textContent.includes('<b>not bold</b>')`)).toBe(true)
    await opened.view('hparams')
    await expectPage(opened, `document.querySelectorAll('.parallel path.on').length`).toBe(3)
    const byLoss = `[...document.querySelectorAll('.sort')].find((b) => b.textContent.startsWith('val/loss')).click()`
    await page.evaluate(byLoss)
    await expectPage(opened, text('.framed tbody th')).toEqual(['sgd-lr1e-1', 'adam-lr1e-3', 'adam-lr3e-4'])
    const cell = `document.querySelector('.framed tbody td:nth-last-child(2)').textContent`
    const [last, high] = [
      await page.evaluate<string>(cell),
      opened.board.store
        .byName('sgd-lr1e-1')!
        .scalars.get('val/loss')!
        .values.reduce((a, b) => Math.max(a, b)),
    ]
    expect(Number(last)).toBeLessThan(high)
    await page.evaluate(`document.querySelectorAll('.choice input')[2].click()`)
    await expectPage(opened, `Number(${cell})`).toBeCloseTo(high, 3)
    await opened.view('curves')
    await expectPage(opened, `document.querySelector('article .chart')?.lines?.length`).toBe(3)
    // Where nothing is predicted there is no precision.
    expect(await page.evaluate(`Math.min(...document.querySelector('article .chart').lines.flatMap(({ y }) => y))`)).toBeGreaterThan(0.2)
    await opened.view('graph')
    await expectPage(opened, text('.box text:first-of-type')).toContain('matmul')
    await page.evaluate(
      `[...document.querySelectorAll('.box')].find((b) => b.textContent.includes('relu')).dispatchEvent(new MouseEvent('click', { bubbles: true }))`,
    )
    await expectPage(opened, text('.details h4')).toEqual(['Reads', 'Read by'])
    await opened.view('profile')
    await expectPage(opened, `Number(document.querySelector('.flame')?.dataset.slices) > 10`).toBe(true)
    await expectPage(opened, text('.framed tbody th')).toContain('matmul')
    await opened.view('system')
    await expectPage(opened, text('article h3')).toEqual(['Processor', 'Memory', 'Cores', 'Load'])
    expect(page.log).toEqual([])
  })

  test('names lines in the charts where the list of runs is closed, and sorts that by age', async () => {
    await opened.view('scalars')
    await opened.enter('.rail .run-tools select', 'newest')
    await expectPage(opened, text('.run-name')).toEqual(['live', 'sgd-lr1e-1', 'adam-lr3e-4', 'adam-lr1e-3'])
    expect(await page.evaluate(text('article .legend li'))).toEqual([])
    await opened.click('.top .menu')
    await expectPage(opened, text('article[aria-label="optim/lr"] .legend li')).toEqual(['adam-lr1e-3', 'adam-lr3e-4', 'sgd-lr1e-1'])
    await opened.click('.top .menu')
    await expectPage(opened, text('article .legend li')).toEqual([])
  })

  test('follows the system into the dark, and stays light when told', async () => {
    await opened.view('scalars')
    const background = `getComputedStyle(document.body).backgroundColor`
    const light = await page.evaluate<string>(background)
    await opened.emulate('dark')
    await expectPage(opened, background).not.toBe(light)
    await opened.enter('.top select', 'light')
    await expectPage(opened, background).toBe(light)
  })

  test('everything that can be operated has a name', async () => {
    const nameless = `[...document.querySelectorAll('button, a, input, select, [role=img], [role=button]')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))
      .map((e) => e.outerHTML)`
    expect(await page.evaluate(nameless)).toEqual([])
    expect(await page.evaluate(text('nav, main, header.top h1'))).toHaveLength(4)
  })
})
