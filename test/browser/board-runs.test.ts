import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventFileWriter } from '@cotangent/formats/tensorboard'
import { PNG } from 'pngjs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { BoardPage, expectDrawn, expectPage, text } from './board-page.ts'
import { chromium, type Page } from './chromium.ts'

/** Twelve runs whose loss is known: 1 / lr plus the seed plus the step, and 50 more for sgd. */
async function writeSweep(folder: string): Promise<void> {
  for (const optimizer of ['adam', 'sgd']) {
    for (const lr of [0.1, 0.01]) {
      for (const seed of [0, 1, 2]) {
        const writer = new EventFileWriter(join(folder, optimizer, `lr${lr}-seed${seed}`), { maxQueue: 1000 })
        writer.hparams({ optimizer, lr, seed, epochs: 3 })
        for (let step = 0; step < 20; step++)
          writer.scalar('loss', 1 / lr + seed + step + (optimizer === 'sgd' ? 50 : 0), step, { wallTime: 1e9 + step })
        await writer.close()
      }
    }
  }
}

const loss = 'article[aria-label="loss"]'
const adamRuns = ['adam/lr0.01-seed0', 'adam/lr0.01-seed1', 'adam/lr0.01-seed2', 'adam/lr0.1-seed0', 'adam/lr0.1-seed1', 'adam/lr0.1-seed2']

describe.skipIf(chromium === undefined)('runs of the board in Chromium', { timeout: 60_000 }, () => {
  const downloads = mkdtempSync(join(tmpdir(), 'cotangent-downloads-'))
  let opened: BoardPage
  let page: Page

  beforeAll(async () => {
    opened = await BoardPage.open(writeSweep)
    page = opened.page
    await page.command('Browser.setDownloadBehavior', { behavior: 'allow', downloadPath: downloads })
  }, 60_000)
  afterAll(async () => {
    await opened?.close()
    rmSync(downloads, { recursive: true })
  })

  const downloaded = async (name: string, button: string): Promise<Buffer> => {
    await opened.click(`${loss} button[aria-label="Download loss"]`)
    await page.evaluate(`[...document.querySelectorAll('.popup-box button')].find((b) => b.textContent === '${button}').click()`)
    const read = (): Buffer | undefined => {
      try {
        return readFileSync(join(downloads, name))
      } catch {
        return undefined
      }
    }
    await expect.poll(() => read()?.length ?? 0, { timeout: 10_000 }).toBeGreaterThan(0)
    return read()!
  }

  test('groups are drawn as their mean with a band, and the address says so', async () => {
    await opened.view('scalars?group=%3Doptimizer,%3Dlr&weight=0')
    await expectDrawn(opened, 'loss').toEqual(['adam, lr 0.01', 'adam, lr 0.1', 'sgd, lr 0.01', 'sgd, lr 0.1'])
    const [, group] = await opened.drawn('loss')
    expect([group!.x.length, group!.y[0], group!.band!.low[0], group!.band!.high[0], group!.band!.count[0]]).toEqual([20, 11, 10, 12, 3])
    expect((await opened.pixelsOf(`${loss} .chart`, [group!.color]))[0]).toBeGreaterThan(100)
    await expectPage(opened, text('.rail .group .run-name')).toEqual(['adam, lr 0.01', 'adam, lr 0.1', 'sgd, lr 0.01', 'sgd, lr 0.1'])
    await opened.enter('.toolbar select:has([value=deviation])', 'deviation')
    await expectDrawn(opened, 'loss', (lines) => lines[1]?.band?.high[0]).toBe(12)
    await opened.enter('.toolbar select:has([value=deviation])', 'error')
    await expectDrawn(opened, 'loss', (lines) => lines[1]?.band?.high[0]).toBeCloseTo(11 + 1 / Math.sqrt(3), 9)
    await expectPage(opened, 'location.hash').toBe('#scalars?weight=0&group=%3Doptimizer,%3Dlr&band=error')
    // Every run of a group in its colour.
    await opened.enter('.toolbar select:has([value=deviation])', 'runs')
    await expectDrawn(opened, 'loss', (lines) => [lines.length, new Set(lines.map(({ color }) => color)).size]).toEqual([12, 4])
    await opened.view('scalars?weight=0&group=%3Doptimizer&band=runs')
    await expectDrawn(opened, 'loss', (lines) => new Set(lines.map(({ color }) => color)).size).toBe(2)
    await opened.view('scalars?weight=0&group=%3Doptimizer,%3Dlr')
    await expectDrawn(opened, 'loss', (lines) => lines.length).toBe(4)
  })

  test('groups unfold, switch their runs together and say when some are off', async () => {
    await page.evaluate(`document.querySelector('.rail [data-index="1"] input').focus()`)
    await opened.key('ArrowRight', 39)
    await expectPage(opened, text('.rail .in-group .run-name')).toEqual(adamRuns.slice(3))
    await opened.enter('.rail [data-index="1"] input[type=color]', '#aa00cc')
    await expectDrawn(opened, 'loss', (lines) => lines[1]?.color).toBe('#aa00cc')
    expect(await page.evaluate(`document.querySelector('.rail [data-index="2"] .swatch').style.background`)).toBe('rgb(170, 0, 204)')
    // A run in the list shows where its group is drawn.
    const opacity = `document.querySelector('${loss} .line-layer').style.opacity`
    expect(await page.evaluate(opacity)).toBe('')
    const { x, y } = await page.evaluate<Record<string, number>>(
      `JSON.parse(JSON.stringify(document.querySelector('.rail [data-index="3"]').getBoundingClientRect()))`,
    )
    await page.command('Input.dispatchMouseEvent', { type: 'mouseMoved', x: x! + 120, y: y! + 15 })
    await expectPage(opened, opacity).toBe('0.2')
    await opened.click('.rail [data-index="2"] input')
    await expectPage(opened, text('.rail [data-index="1"] .badge')).toEqual(['2 of 3'])
    expect(await page.evaluate(`document.querySelector('.rail [data-index="1"] input').indeterminate`)).toBe(true)
    await expectDrawn(opened, 'loss', (lines) => lines[1]?.y[0]).toBe(11.5)
    await opened.click('.rail [data-index="1"] input')
    await expectDrawn(opened, 'loss', (lines) => lines[1]?.y[0]).toBe(11)
    await page.evaluate(`document.querySelector('.rail [data-index="1"] input').focus()`)
    await opened.key('ArrowLeft', 37)
    await expectPage(opened, text('.rail .in-group')).toEqual([])
  })

  test('conditions on hyperparameters and a regular expression choose runs, together', async () => {
    await opened.view('scalars?')
    await expectDrawn(opened, 'loss', (lines) => lines.length).toBe(12)
    await page.evaluate(`[...document.querySelectorAll('.run-tools button')].find((b) => b.textContent === '+ Condition').click()`)
    await opened.enter('.condition select', 'lr')
    await opened.enter('.condition select[aria-label=Comparison]', '<')
    await opened.enter('.condition input', '0.05')
    await expectPage(opened, text('.rail-head [role=status]')).toEqual(['6 of 12 runs'])
    await opened.enter('.rail .filter', '^adam.*seed[01]')
    await expectDrawn(opened, 'loss').toEqual(adamRuns.slice(0, 2))
    await expectPage(opened, 'decodeURIComponent(location.hash)').toContain('where=lr<0.05')
    await opened.click('.condition button')
    await opened.enter('.rail .filter', '')
    await expectDrawn(opened, 'loss', (lines) => lines.length).toBe(12)
  })

  test('runs get names, colours, notes and pins, which stay, and board.json gives them to others', async () => {
    await page.evaluate(`document.querySelector('.rail [data-index="1"] input[type=checkbox]').focus()`)
    await opened.key('F2', 113)
    await expectPage(opened, text('dialog h2')).toEqual(['adam/lr0.01-seed1'])
    await opened.enter('dialog input[type=text]', 'Baseline')
    await opened.enter('dialog textarea', 'the one to beat')
    await opened.enter('dialog input[type=color]', '#123456')
    await opened.click('dialog input[type=checkbox]')
    await page.evaluate(`[...document.querySelectorAll('dialog button')].find((b) => b.textContent === 'Save board.json').click()`)
    const saved = (): unknown => JSON.parse(readFileSync(join(downloads, 'board.json'), 'utf8'))
    const mark = { color: '#123456', name: 'Baseline', note: 'the one to beat', pinned: true }
    await expect.poll(() => JSON.stringify(saved()).length, { timeout: 10_000 }).toBeGreaterThan(0)
    expect(saved()).toEqual({ runs: { 'adam/lr0.01-seed1': mark } })
    await opened.key('Escape', 27)
    await expectPage(opened, `document.querySelector('dialog')`).toBeNull()
    expect(await page.evaluate(`document.activeElement.closest('.run')?.dataset.index`)).toBe('0')
    await expectDrawn(opened, 'loss', (lines) => lines.find(({ name }) => name === 'Baseline')?.color).toBe('#123456')
    await page.goto(opened.board.url)
    await expectPage(opened, `document.querySelector('.run-name')?.textContent`).toBe('Baseline')
    expect(await page.evaluate(`document.querySelector('.run [aria-label="Note: the one to beat"]') !== null`)).toBe(true)
    // What the folder says counts where the browser says nothing.
    writeFileSync(
      join(opened.runs, 'board.json'),
      JSON.stringify({ runs: { 'adam/lr0.01-seed1': { name: 'Other' }, 'sgd/lr0.1-seed2': { name: 'Worst' } } }),
    )
    await expectPage(opened, text('.run-name')).toEqual(expect.arrayContaining(['Baseline', 'Worst']))
    writeFileSync(join(opened.runs, 'board.json'), '{"runs": 3}')
    await expectPage(opened, text('.error')).toEqual([expect.stringContaining('board.json: there is no object "runs" in it')])
    rmSync(join(opened.runs, 'board.json'))
    await expectPage(opened, text('.error')).toEqual([])
  })

  test('two runs side by side show what differs', async () => {
    await opened.view('compare')
    await expectPage(opened, `[...document.querySelectorAll('.compare thead select')].map((s) => s.value)`).toEqual([
      'adam/lr0.01-seed1',
      'adam/lr0.01-seed0',
      '',
    ])
    await opened.enter('.compare thead th:nth-child(3) select', 'sgd/lr0.1-seed2')
    await expectPage(opened, text('.compare .differs th')).toEqual([
      'optimizer (differs)',
      'lr (differs)',
      'seed (differs)',
      'loss (differs)',
      'Folder (differs)',
      'Note (differs)',
    ])
    expect(await page.evaluate(text('.compare tbody:nth-of-type(1) tr:nth-child(3) td'))).toEqual(['0.01', '0.1', '× 10', ''])
    await page.evaluate(`document.querySelector('.toolbar .toggle input').click()`)
    await expectPage(opened, `document.querySelectorAll('.compare tbody tr:not(.group-head)').length`).toBe(6)
    await expectPage(opened, 'location.hash').toContain('compare=adam/lr0.01-seed1,sgd/lr0.1-seed2')
  })

  test('charts are saved as PNG, SVG and CSV', async () => {
    await opened.view('scalars?group=%3Dlr')
    await expectDrawn(opened, 'loss').toEqual(['lr 0.01', 'lr 0.1'])
    const svg = (await downloaded('loss.svg', 'Picture, SVG')).toString()
    expect(svg).toMatch(/<text[^>]*>loss<\/text>/)
    expect(svg.match(/fill-opacity="0.16"/g)).toHaveLength(2)
    const png = PNG.sync.read(await downloaded('loss.png', 'Picture, PNG'))
    const [, width, height] = /width="(\d+)" height="(\d+)"/.exec(svg)!
    expect([png.width, png.height]).toEqual([2 * Number(width), 2 * Number(height)])
    expect(new Set(new Uint32Array(png.data.buffer, png.data.byteOffset, png.data.length / 4)).size).toBeGreaterThan(10)
    const csv = (await downloaded('loss-drawn.csv', 'What is drawn, CSV')).toString().split('\n')
    expect(csv.slice(0, 2)).toEqual(['group,step,mean,low,high,runs', 'lr 0.01,0,126,100,152,6'])
  })

  test('what an address says goes before what the browser remembers, and is not remembered', async () => {
    await opened.view('scalars?')
    await opened.enter('.toolbar .slider input', 0.25)
    await expectPage(opened, `localStorage.getItem('cotangent-board.weight')`).toBe('0.25')
    await page.goto('about:blank')
    await page.goto(
      `${opened.board.url}#hparams?weight=0.9&axis=depth&show=adam/lr0.1-seed0,sgd/lr0.1-seed0&sort=-m:loss&columns=-h:seed,h:epochs`,
    )
    await expectPage(opened, text('.framed tbody th')).toEqual(['sgd/lr0.1-seed0', 'adam/lr0.1-seed0'])
    expect(await page.evaluate(text('.framed thead th'))).toEqual(['Run', 'optimizer', 'epochs', 'loss ↓'])
    await opened.view('scalars')
    await expectDrawn(opened, 'loss').toEqual(['adam/lr0.1-seed0', 'sgd/lr0.1-seed0'])
    expect(await page.evaluate(`document.querySelector('.toolbar .slider output').textContent`)).toBe('0.90')
    // There is no such axis.
    expect(await page.evaluate(`document.querySelector('.choice label.on').textContent`)).toBe('Step')
    expect(await page.evaluate(`localStorage.getItem('cotangent-board.weight')`)).toBe('0.25')
    await expectPage(opened, 'location.hash').toBe(
      '#scalars?weight=0.9&show=adam/lr0.1-seed0,sgd/lr0.1-seed0&columns=-h:seed,h:epochs&sort=-m:loss',
    )
  })

  test('everything that can be operated has a name, in dialogs and menus too', async () => {
    const nameless = `[...document.querySelectorAll('button, a, input, select, textarea, dialog, [role=img], [role=group], [role=region]')]
      .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.[0]?.textContent.trim()))
      .map((e) => e.outerHTML)`
    await opened.view('compare?where=lr%3C1&group=folder')
    await expectPage(opened, `document.querySelectorAll('.compare select, .condition, .run.group').length > 4`).toBe(true)
    await opened.click('.run-tools .popup button')
    await expectPage(opened, text('.popup-box legend')).toEqual(['Group runs by'])
    expect(await page.evaluate(nameless)).toEqual([])
    await opened.key('Escape', 27)
    await opened.view('scalars?')
    await expectPage(opened, `document.querySelector('.run:not(.group)') !== null`).toBe(true)
    await opened.click('.run .row-actions button:last-child')
    await expectPage(opened, `document.querySelector('dialog')?.open`).toBe(true)
    expect(await page.evaluate(nameless)).toEqual([])
    expect(await page.evaluate(`document.activeElement.labels[0].textContent`)).toBe('Name')
    await opened.click('dialog button[aria-label=Close]')
    await expectPage(opened, `document.querySelector('dialog')`).toBeNull()
  })

  test('moving over the lines draws none of them again but one', async () => {
    await opened.view('scalars?weight=0')
    await expectDrawn(opened, 'loss', (lines) => lines.length).toBe(12)
    await page.evaluate(`new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))`)
    await page.evaluate(`(() => {
      window.segments = 0
      const { lineTo } = CanvasRenderingContext2D.prototype
      CanvasRenderingContext2D.prototype.lineTo = function (...at) { window.segments++; lineTo.apply(this, at) }
    })()`)
    const { x, y, width, height } = await page.evaluate<Record<string, number>>(
      `JSON.parse(JSON.stringify(document.querySelector('${loss} .u-over').getBoundingClientRect()))`,
    )
    // From the losses of sgd with lr 0.01, at the top, to those of adam with lr 0.1, and back: each time one line of 20 points.
    let isTop = false
    const segmentsOfMove = async (): Promise<number> => {
      isTop = !isTop
      await page.evaluate('window.segments = 0')
      await page.command('Input.dispatchMouseEvent', { type: 'mouseMoved', x: x! + width! / 2, y: y! + (isTop ? 0.12 : 0.88) * height! })
      return page.evaluate<number>(
        `new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(() => resolve(window.segments))))`,
      )
    }
    await expect.poll(segmentsOfMove, { timeout: 10_000 }).toBe(19)
    expect(await page.evaluate(`document.querySelector('.run.highlighted') !== null`)).toBe(true)
    expect(page.log).toEqual([])
  })
})
