import { smoothedRate } from './smoothed-rate.ts'
import { drawBar, formatClock, formatCount, formatDuration, formatMetric } from './terminal-format.ts'
import { colorAllowed, defaultWriter, displayWidth, fitWidth, type TerminalWriter } from './terminal.ts'

/** What a progress bar counts and says. */
export interface ProgressOptions {
  /** Items in all; without it there is a count and a rate, but no bar and no time left. */
  total?: number
  /** What is going on, for instance `epoch 1/5`. */
  label?: string
  /** What is counted, in the plural. */
  unit?: string
  writer?: TerminalWriter
  color?: boolean
  /** Milliseconds from any fixed moment. */
  now?: () => number
}

/** A line that shows how far something is, with rate and time left. */
export interface ProgressBar {
  /** Says that `done` items are done, and the latest value of each metric. Cheap: most calls draw nothing. */
  update(done: number, metrics?: Record<string, number>): void
  /** Writes a line above the bar. */
  log(line: string): void
  /** Draws the last state and leaves it standing. Nothing is drawn after it. */
  finish(): void
  /** The same as `finish`, so that after an exception the last state stands and the message begins on its own line. */
  [Symbol.dispose](): void
}

const redrawEvery = 100
/** Without a terminal every state is a line of a log, so there are few. */
const plainLineEvery = 5000
const maxBarColumns = 30
const minBarColumns = 6

/**
 * A live progress line with a bar, metrics, rate and time left, redrawn about 10 times a second; on anything but a
 * terminal, a plain line every 5 seconds and one at the end.
 *
 * ```ts
 * using bar = progressBar({ total: 60_000, label: 'epoch 1/5', unit: 'images' })
 * for await (const batch of batches) bar.update((seen += batch.size), { loss, accuracy })
 * ```
 */
export function progressBar(options: ProgressOptions = {}): ProgressBar {
  const { total, label = '', unit = 'items', writer = defaultWriter(), now = () => performance.now() } = options
  const live = Boolean(writer.isTTY)
  const color = live && (options.color ?? colorAllowed(writer))
  const start = now()
  const rate = smoothedRate(start)
  let done = 0
  let metrics: Record<string, number> = {}
  let begun = false
  let finished = false
  let lastSample = Number.NEGATIVE_INFINITY
  let lastPlainLine = start

  const draw = (last: boolean): void => {
    const time = now()
    const overall = time > start ? (done / (time - start)) * 1000 : 0
    const state = {
      total,
      label,
      unit,
      done,
      metrics,
      color,
      finished: last,
      elapsed: time - start,
      rate: last ? overall : rate.perSecond(),
    }
    if (!live) writer.write(`${drawLine(state, Number.POSITIVE_INFINITY)}\n`)
    // One write, and the rest of the old line is cleared after the new text: nothing can be seen half drawn.
    // The last column stays free, because terminals may wrap when it is filled.
    else writer.write(`\r${drawLine(state, (writer.columns || 80) - 1)}\x1b[K${last ? '\n' : ''}`)
  }

  const finish = (): void => {
    if (finished) return
    finished = true
    if (begun) draw(true)
  }

  return {
    update(nowDone, newMetrics = metrics) {
      if (finished) return
      done = nowDone
      metrics = newMetrics
      begun = true
      const time = now()
      if (time - lastSample < redrawEvery && done !== total) return
      lastSample = time
      rate.sample(time, done)
      if (live) draw(false)
      else if (time - lastPlainLine >= plainLineEvery) {
        lastPlainLine = time
        draw(false)
      }
    },
    log(line) {
      writer.write(live ? `\r\x1b[K${line}\n` : `${line}\n`)
      if (live && begun && !finished) draw(false)
    },
    finish,
    [Symbol.dispose]: finish,
  }
}

interface State {
  total: number | undefined
  label: string
  unit: string
  done: number
  metrics: Record<string, number>
  color: boolean
  finished: boolean
  /** Milliseconds. */
  elapsed: number
  rate: number
}

/** One line of at most `columns`: what matters least is left out first, and the bar takes what is free. */
function drawLine(state: State, columns: number): string {
  const { total, label, unit, done, metrics, finished, elapsed, rate } = state
  const count = formatCount(done)
  const parts: { text: string; worth: number }[] = []
  const add = (worth: number, text: string): void => void (text && parts.push({ text, worth }))

  add(8, label)
  const fraction = total ? Math.min(1, Math.max(0, done / total)) : undefined
  if (fraction !== undefined) add(7, `${Math.floor(100 * fraction)}%`.padStart(4))
  add(
    total === undefined ? 7 : 2,
    total === undefined ? `${count} ${unit}` : `${count.padStart(formatCount(total).length)}/${formatCount(total)}`,
  )
  for (const [name, value] of Object.entries(metrics)) add(6, `${name} ${formatMetric(value)}`)
  if (rate > 0) add(3, `${formatCount(rate)} ${unit}/s`)
  if (finished) add(4, `in ${formatDuration(elapsed)}`)
  else if (total !== undefined && rate > 0) add(5, `ETA ${formatClock(((total - done) / rate) * 1000)}`)

  // The bar stands before the percentage.
  const barAt = label ? 1 : 0
  const lineOf = (bar?: string): string => {
    const texts = parts.map((part) => part.text)
    if (bar) texts[barAt] = `${bar} ${texts[barAt]}`
    return texts.join('  ')
  }
  if (columns === Number.POSITIVE_INFINITY) return lineOf()
  const free = (): number => columns - displayWidth(lineOf())
  const barNeeds = fraction === undefined ? 0 : minBarColumns + 1
  while (free() < barNeeds && parts.some((part) => part.worth < 6)) {
    const least = parts.reduce((a, b) => (b.worth < a.worth ? b : a))
    parts.splice(parts.indexOf(least), 1)
  }
  if (fraction === undefined || free() < barNeeds) return fitWidth(lineOf(), columns)
  return lineOf(drawBar(fraction, Math.min(maxBarColumns, free() - 1), state.color))
}
