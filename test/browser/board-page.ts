import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Board, startBoard } from '@cotangent/cli'
import { PNG } from 'pngjs'
import { expect } from 'vitest'
import { buildPage } from '../../scripts/build-page.ts'
import { Browser, chromium, type Page } from './chromium.ts'

interface DrawnLine {
  name: string
  color: string
  x: number[]
  y: number[]
  raw?: number[]
  band?: { low: number[]; high: number[]; count: number[] }
}

const size = { width: 1200, height: 800 }
const timeout = { timeout: 10_000 }

/** A board on runs of its own, opened in Chromium, and what tests do with it. */
export class BoardPage {
  /** The folder of the runs. */
  readonly runs: string
  readonly board: Board
  readonly page: Page
  readonly #root: string
  readonly #browser: Browser

  private constructor(root: string, board: Board, browser: Browser, page: Page) {
    this.#root = root
    this.runs = join(root, 'runs')
    this.board = board
    this.#browser = browser
    this.page = page
  }

  /** @param write writes the runs into the folder. */
  static async open(write: (folder: string) => Promise<unknown>): Promise<BoardPage> {
    const root = mkdtempSync(join(tmpdir(), 'cotangent-board-page-'))
    await Promise.all([buildPage(join(root, 'page'), { minify: false }), write(join(root, 'runs'))])
    const board = await startBoard({ folder: join(root, 'runs'), port: 0, page: join(root, 'page'), interval: 100 })
    const browser = new Browser(chromium!)
    const page = await browser.newPage()
    const opened = new BoardPage(root, board, browser, page)
    await page.command('Emulation.setDeviceMetricsOverride', { ...size, deviceScaleFactor: 1, mobile: false })
    await opened.emulate('light')
    await page.goto(board.url)
    return opened
  }

  async close(): Promise<void> {
    await this.#browser.close()
    await this.board.close()
    rmSync(this.#root, { recursive: true })
  }

  emulate(scheme: 'light' | 'dark') {
    return this.page.command('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
  }

  /** Opens a view. */
  view(name: string): Promise<string> {
    return this.page.evaluate(`location.hash = '${name}'`)
  }

  click(selector: string): Promise<void> {
    return this.page.evaluate(`document.querySelector(${JSON.stringify(selector)}).click()`)
  }

  /** Types into an input or chooses in a select, as a user does. */
  async enter(selector: string, value: string | number): Promise<void> {
    await this.page.evaluate(`(() => {
      const e = document.querySelector(${JSON.stringify(selector)})
      e.value = ${JSON.stringify(value)}
      e.dispatchEvent(new Event(e.tagName === 'SELECT' ? 'change' : 'input', { bubbles: true }))
    })()`)
  }

  async key(name: string, code = 0): Promise<void> {
    for (const type of ['rawKeyDown', 'keyUp'])
      await this.page.command('Input.dispatchKeyEvent', { type, key: name, code: name, windowsVirtualKeyCode: code })
  }

  /** What is drawn in the chart of a tag. */
  drawn(tag: string): Promise<DrawnLine[]> {
    return this.page.evaluate(
      `(document.querySelector('article[aria-label="${tag}"] .chart')?.lines ?? []).map(({ name, color, x, y, raw, band }) => ({
        name, color, x: [...x], y: [...y], raw: raw && [...raw],
        band: band && { low: [...band.low], high: [...band.high], count: [...band.count] },
      }))`,
    )
  }

  /** Pixels of an element that have one of the colours, nearly. */
  async pixelsOf(selector: string, colors: readonly string[]): Promise<number[]> {
    const { x, y, width, height } = await this.page.evaluate<{ x: number; y: number; width: number; height: number }>(
      `JSON.parse(JSON.stringify(document.querySelector(${JSON.stringify(selector)}).getBoundingClientRect()))`,
    )
    const png = PNG.sync.read(Buffer.from(await this.page.screenshot(size)))
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
}

/** An expression for the texts of all elements that a selector finds. */
export const text = (selector: string): string =>
  `[...document.querySelectorAll(${JSON.stringify(selector)})].map((e) => e.textContent.trim())`

/** Waits for the value of an expression. */
export function expectPage({ page }: BoardPage, expression: string) {
  return expect.poll(() => page.evaluate<unknown>(expression), timeout)
}

/** Waits for what is drawn in the chart of a tag: the names of its lines, or something else of them. */
export function expectDrawn(
  opened: BoardPage,
  tag: string,
  of: (lines: DrawnLine[]) => unknown = (lines) => lines.map(({ name }) => name),
) {
  return expect.poll(async () => of(await opened.drawn(tag)), timeout)
}
