import { describe, expect, test } from 'vitest'
import { accuracy, batchesOf, points, smallTrainer } from '../../test/small-training.ts'
import type { DisplayMode } from './display.ts'
import type { TerminalWriter } from './terminal.ts'
import { displayWidth } from './terminal.ts'

const batches = batchesOf(points())

/** A terminal that keeps what is on it, as far as this project's escape sequences go. */
class Screen implements TerminalWriter {
  readonly isTTY = true
  readonly columns: number
  readonly frames: string[][] = []
  #lines: string[] = ['']

  constructor(columns: number) {
    this.columns = columns
  }

  get text(): string {
    return this.#lines.join('\n')
  }

  write(text: string): void {
    let row = this.#lines.length - 1
    for (const token of text.match(/\x1b\[\d*[FJ]|\x1b\[[\d;]*m|\n|[^\x1b\n]+/g) ?? []) {
      const up = /^\x1b\[(\d+)F$/.exec(token)
      if (up) row -= Number(up[1])
      else if (token === '\x1b[J') this.#lines = [...this.#lines.slice(0, row), '']
      else if (token === '\n') {
        row++
        if (row === this.#lines.length) this.#lines.push('')
      } else if (!token.startsWith('\x1b')) this.#lines[row] += token
    }
    this.frames.push([...this.#lines])
  }
}

async function shown(mode: DisplayMode, writer: TerminalWriter, more: object = {}, data: unknown[] = batches): Promise<void> {
  await smallTrainer({ compile: false }).fit(data, {
    epochs: 2,
    validation: batches,
    display: { mode, writer, color: false, every: 0 },
    ...more,
  })
}

describe('the live display', () => {
  test('is a table of epochs with lines below that are drawn in place', async () => {
    const screen = new Screen(100)
    await shown('live', screen, { callbacks: [{ onEpochEnd: (t: { write(line: string): void }) => t.write('a note') }] })
    const lines = screen.text.trimEnd().split('\n')
    expect(lines[0]).toMatch(/^131 parameters {2}· {2}AdamW, lr 0.01 {2}· {2}2 epochs of 6 batches$/)
    expect(lines.slice(1)).toEqual([
      'a note',
      expect.stringMatching(/^epoch +loss +accuracy +valLoss +valAccuracy +time$/),
      expect.stringMatching(/^ +1 +1\.\d{4} +0\.\d{4} +\d\.\d{4} +0\.\d{4} +\d\.\d s$/),
      'a note',
      expect.stringMatching(/^ +2 /),
      '',
      expect.stringMatching(/^✓ 2 epochs, 12 steps in \d\.\d s {2}· {2}best valLoss \d\.\d{4} in epoch 2$/),
    ])
    const frames = screen.frames.map((frame) => frame.join('\n'))
    expect(
      frames.some((frame) =>
        /epoch 1\/2 {2}━+[╸─]*.* 50% {2}3\/6 {2}[\d,]+ samples\/s {2}ETA 0:0\d\n[▁-█]+ {2}loss \d\.\d{4} {2}accuracy/.test(frame),
      ),
    ).toBe(true)
    expect(frames.some((frame) => /epoch 2\/2 {2}validating {2}━/.test(frame))).toBe(true)
    expect(frames.some((frame) => /run 0:0\d left/.test(frame))).toBe(true)
  })

  test.each([20, 34, 60, 200])('never fills the last of %i columns', async (columns) => {
    const screen = new Screen(columns)
    await shown('live', screen)
    for (const frame of screen.frames) {
      const drawn = frame.slice(-4)
      for (const line of drawn.filter((text) => /^epoch \d\/|▁/.test(text))) expect(displayWidth(line)).toBeLessThan(columns)
    }
  })

  test('leaves the last state standing above an error', async () => {
    const screen = new Screen(100)
    const broken = { onBatchEnd: (t: { batch: number }) => (t.batch === 4 ? Promise.reject(new Error('broken')) : undefined) }
    await expect(shown('live', screen, { callbacks: [broken] })).rejects.toThrow('broken')
    expect(screen.text).toMatch(/epoch 1\/2 [^\n]* 66% {2}4\/6[^\n]*\n[^\n]*\n✗ failed after 0 epochs, 4 steps/)
  })

  test('in a narrow window the losses stay longest, then what validations give', async () => {
    const head = async (columns: number) => {
      const screen = new Screen(columns)
      const { metrics, clipNorm } = { metrics: { accuracy, top: accuracy }, clipNorm: 1 }
      const display = { mode: 'live', writer: screen, color: false } as const
      await smallTrainer({ compile: false, metrics, clipNorm }).fit(batches, { validation: batches, display })
      return screen.text.match(/^epoch +loss.*$/m)![0].split(/ +/)
    }
    expect(await head(120)).toEqual(['epoch', 'loss', 'gradNorm', 'accuracy', 'top', 'valLoss', 'valAccuracy', 'valTop', 'time'])
    expect(await head(80)).toEqual(['epoch', 'loss', 'accuracy', 'top', 'valLoss', 'valAccuracy', 'valTop', 'time'])
    expect(await head(70)).toEqual(['epoch', 'loss', 'accuracy', 'valLoss', 'valAccuracy', 'valTop', 'time'])
    expect(await head(50)).toEqual(['epoch', 'loss', 'valLoss', 'valAccuracy', 'time'])
  })

  test('shows what an epoch gave, though it was over before it was time to look', async () => {
    const screen = new Screen(100)
    await smallTrainer({ compile: false }).fit(batches, { epochs: 3, display: { mode: 'live', writer: screen, color: false, every: 60 } })
    const rows = screen.text.match(/(?<=^ +\d +)[\d.]+/gm)!
    expect(rows).toHaveLength(3)
    const drawn = screen.frames.flatMap((frame) => frame.join('\n').match(/(?<=[▁-█] {2}loss )[\d.]+/) ?? [])
    expect(drawn.slice(-3)).toEqual(rows)
  })

  test('does without lengths', async () => {
    const screen = new Screen(100)
    await shown('live', screen, {}, { [Symbol.iterator]: () => batches[Symbol.iterator]() } as never)
    expect(screen.frames.some((frame) => /^epoch 1\/2 {2}3 batches/m.test(frame.join('\n')))).toBe(true)
  })
})

test('plain lines: each epoch, and now and then between', async () => {
  const lines: string[] = []
  const writer = { write: (text: string) => void lines.push(text) }
  await shown('plain', writer)
  expect(lines.every((line) => line.endsWith('\n') && !line.includes('\x1b'))).toBe(true)
  expect(lines.filter((line) => /^epoch 1\/2 {2}\d\/6 {2}loss/.test(line))).toHaveLength(6)
  expect(lines.filter((line) => /^epoch \d\/2 {2}loss .* valAccuracy 0\.\d{4} {2}\d\.\d s/.test(line))).toHaveLength(2)
})

test('JSON: an event a line, with numbers that JSON lacks as texts', async () => {
  const lines: string[] = []
  const broken = batches.map(([x, y]) => [x.mul(Number.NaN), y])
  await shown(
    'json',
    { write: (text) => void lines.push(text) },
    { callbacks: [{ onEpochEnd: (t: { write(line: string): void }) => t.write('hello') }] },
    broken,
  )
  const events = lines.map((line) => JSON.parse(line) as Record<string, unknown>)
  expect([...new Set(events.map(({ event }) => event))]).toEqual(['fitStart', 'progress', 'validationEnd', 'message', 'epochEnd', 'fitEnd'])
  expect(events[0]).toMatchObject({ parameters: 131, optimizer: 'AdamW', epochs: 2, batchesPerEpoch: 6 })
  expect(events.find(({ event }) => event === 'epochEnd')).toMatchObject({ epoch: 1, step: 6, logs: { loss: 'NaN' } })
  expect(events.at(-1)).toMatchObject({ event: 'fitEnd', stopReason: 'finished', step: 12, epoch: 2, epochs: 2 })
})

test('quiet says nothing', async () => {
  const lines: string[] = []
  await shown('quiet', { write: (text) => void lines.push(text) })
  expect(lines).toEqual([])
  await expect(shown('loud' as 'quiet', { write: (text) => void lines.push(text) })).rejects.toThrow(/display is loud. It is one of auto/)
})
