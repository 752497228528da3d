import { expect, it } from 'vitest'
import { type ProgressOptions, progressBar } from './progress.ts'
import { displayWidth } from './terminal.ts'

/** A terminal of lines: what `write` would leave on screen, with every state that was visible on the way. */
function setup(options: ProgressOptions & { columns?: number; isTTY?: boolean } = {}) {
  const writes: string[] = []
  const screen: string[] = ['']
  const clock = { ms: 1000 }
  const writer = {
    isTTY: options.isTTY ?? true,
    columns: options.columns ?? 120,
    write(text: string) {
      writes.push(text)
      for (const token of text.match(/\r|\n|\x1b\[K|[^\r\n\x1b]+|\x1b\[\d*m/g) ?? []) {
        if (token === '\r' || token === '\n') cursor = 0
        if (token === '\r') continue
        if (token === '\n') screen.push('')
        else if (token === '\x1b[K') screen[screen.length - 1] = screen.at(-1)!.slice(0, cursor)
        else if (!token.startsWith('\x1b')) {
          screen[screen.length - 1] = screen.at(-1)!.slice(0, cursor) + token + screen.at(-1)!.slice(cursor + token.length)
          cursor += token.length
        }
      }
    },
  }
  let cursor = 0
  const bar = progressBar({ color: false, writer, now: () => clock.ms, ...options })
  return { bar, writes, screen, clock, writer }
}

const epoch = { total: 60_000, label: 'epoch 1/5', unit: 'images' }

it('shows label, bar, percentage, count, metrics, rate and time left', () => {
  const { bar, screen, clock } = setup(epoch)
  clock.ms += 1000
  bar.update(15_000, { loss: 0.51234, accuracy: 0.9 })
  expect(screen).toEqual([
    'epoch 1/5  ━━━━━━━╸──────────────────────  25%  15,000/60,000  loss 0.5123  accuracy 0.9000  15,000 images/s  ETA 0:03',
  ])
})

it('redraws 10 times a second at most, in one write that clears the rest of the old line', () => {
  const { bar, writes, clock } = setup(epoch)
  for (let i = 1; i <= 1000; i++) {
    clock.ms++
    bar.update(i)
  }
  expect(writes.length).toBe(10)
  for (const text of writes) expect(text).toMatch(/^\r[^\r\n]*\x1b\[K$/)
})

it('always draws the last item, and ends with the overall rate and duration', () => {
  const { bar, screen, clock, writes } = setup(epoch)
  clock.ms += 1000
  bar.update(59_000)
  clock.ms += 1
  bar.update(60_000, { loss: 0.1 })
  expect(screen[0]).toContain('100%')
  clock.ms += 2999
  bar.finish()
  expect(screen).toEqual(['epoch 1/5  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 100%  60,000/60,000  loss 0.1000  15,000 images/s  in 4.0 s', ''])
  const { length } = writes
  bar.finish()
  bar.update(1)
  bar[Symbol.dispose]()
  expect(writes.length).toBe(length)
})

it('leaves the last state standing after an exception, even one that was not drawn, and hides no cursor', () => {
  const { bar, screen, clock, writes } = setup(epoch)
  bar.update(128, { loss: 2 })
  clock.ms += 10
  expect(() => {
    try {
      bar.update(256, { loss: Number.NaN })
      throw new Error('diverged')
    } finally {
      bar[Symbol.dispose]()
    }
  }).toThrow('diverged')
  expect(screen[0]).toContain('256/60,000  loss NaN')
  expect(screen[1]).toBe('')
  expect(writes.join('')).not.toContain('\x1b[?25l')
})

it('writes nothing where nothing happened', () => {
  const { bar, writes } = setup(epoch)
  bar.finish()
  expect(writes).toEqual([])
})

it('never fills the last column, leaves out what matters least, and follows a resize', () => {
  const { bar, screen, clock, writer } = setup({ ...epoch, label: '訓練 🎉 1/5' })
  for (let columns = 1; columns <= 140; columns++) {
    writer.columns = columns
    clock.ms += 100
    bar.update(30_000, { loss: 0.5, accuracy: 0.9321 })
    expect(displayWidth(screen[0]!)).toBeLessThan(Math.max(columns, 2))
  }
  writer.columns = 80
  clock.ms += 100
  bar.update(30_000, { loss: 0.5, accuracy: 0.9321 })
  expect(screen[0]).toMatch(/^訓練 🎉 1\/5 {2}━+╸?─+ {2}50% {2}loss 0.5000 {2}accuracy 0.9321 {2}[\d,]+ images\/s {2}ETA \d:\d\d$/)
  writer.columns = 40
  clock.ms += 100
  bar.update(30_000, { loss: 0.5 })
  expect(screen[0]).toMatch(/^訓練 🎉 1\/5 {2}━+╸?─+ {2}50% {2}loss 0.5000$/)
  writer.columns = 0
  clock.ms += 100
  bar.update(30_000, { loss: 0.5 })
  expect(screen[0]).toContain('ETA')
})

it('writes few plain lines where there is no terminal, and one at the end', () => {
  const { bar, writes, clock } = setup({ ...epoch, isTTY: false, color: true })
  for (let i = 1; i <= 120; i++) {
    clock.ms += 100
    bar.update(i * 500, { loss: 1 / i })
  }
  bar.finish()
  expect(writes).toEqual([
    'epoch 1/5   41%  25,000/60,000  loss 0.0200  5,000 images/s  ETA 0:07\n',
    'epoch 1/5   83%  50,000/60,000  loss 0.0100  5,000 images/s  ETA 0:02\n',
    'epoch 1/5  100%  60,000/60,000  loss 0.0083  5,000 images/s  in 12.0 s\n',
  ])
})

it('counts without a total', () => {
  const { bar, screen, clock } = setup({ unit: 'steps' })
  clock.ms += 500
  bar.update(3, { perplexity: 12345.678 })
  expect(screen[0]).toBe('3 steps  perplexity 12346  6 steps/s')
})

it('writes lines above the bar', () => {
  const { bar, screen, clock } = setup({ ...epoch, columns: 60 })
  bar.log('before')
  clock.ms += 1000
  bar.update(30_000)
  bar.log('saved model.safetensors')
  expect(screen.slice(0, 2)).toEqual(['before', 'saved model.safetensors'])
  expect(screen[2]).toMatch(/^epoch 1\/5 .* 50% /)
})

it('follows a change of speed', () => {
  const { bar, screen, clock } = setup({ total: 10_000 })
  let done = 0
  for (let i = 0; i < 100; i++) bar.update(((clock.ms += 100), (done += 1)))
  expect(screen[0]).toContain(' 10 items/s')
  for (let i = 0; i < 300; i++) bar.update(((clock.ms += 100), (done += 10)))
  const rate = Number(/(\d+) items\/s/.exec(screen[0]!)?.[1])
  expect(rate).toBeGreaterThan(95)
  expect(rate).toBeLessThanOrEqual(100)
})

it('colours the bar, with the same width', () => {
  const plain = setup({ ...epoch, columns: 60 })
  const colored = setup({ ...epoch, columns: 60, color: true })
  for (const { bar, clock } of [plain, colored]) bar.update(((clock.ms += 100), 30_000))
  expect(colored.screen).toEqual(plain.screen)
  expect(colored.writes[0]).toContain('\x1b[36m━')
})

it.each([
  [0, '0'],
  [3, '3'],
  [0.12345, '0.1235'],
  [-2.5, '-2.5000'],
  [123.456, '123.46'],
  [1234.56, '1235'],
  [0.000123, '1.23e-4'],
  [1.5e9 + 0.5, '1.50e+9'],
  [Number.POSITIVE_INFINITY, 'Infinity'],
])('words the metric %d as %s', (value, text) => {
  const { bar, screen } = setup({ total: 10 })
  bar.update(1, { m: value })
  expect(screen[0]).toMatch(new RegExp(` m ${text.replace(/[+.]/g, '\\$&')}(?: |$)`))
})
