import type { ArtOptions } from './terminal-art.ts'
import { formatMetric } from './terminal-format.ts'
import { colorAllowed, padEnd, padStart } from './terminal.ts'

/** Size, axes and title of a plot in text. */
export interface LinePlotOptions extends ArtOptions {
  /** Columns and rows of text in all. Default 72 and 16. */
  readonly width?: number
  readonly height?: number
  readonly logX?: boolean
  readonly logY?: boolean
  readonly title?: string
  /** A vertical line with its name. */
  readonly mark?: { readonly x: number; readonly label: string }
}

/** Bits of the dots of a braille character, by column and row. */
const dots = [
  [0x01, 0x02, 0x04, 0x40],
  [0x08, 0x10, 0x20, 0x80],
] as const

/** A curve in braille dots, two by four a character, with axes. Points that are not finite leave a gap. */
export function linePlot(xs: readonly number[], ys: readonly number[], options: LinePlotOptions = {}): string {
  const { width = 72, height = 16, logX = false, logY = false, title, mark, color = colorAllowed() } = options
  const [tx, ty] = [logX ? Math.log10 : Number, logY ? Math.log10 : Number]
  const points = xs.map((x, i) => [tx(x), ty(ys[i]!)] as const)
  const finite = points.filter(([x, y]) => Number.isFinite(x) && Number.isFinite(y))
  const [left, right] = range(finite.map(([x]) => x))
  const [low, high] = range(finite.map(([, y]) => y))
  const back = (value: number, log: boolean) => (log ? 10 ** value : value)
  const labels = [high, (low + high) / 2, low].map((value) => formatMetric(back(value, logY)))
  const margin = Math.max(...labels.map((label) => label.length))
  const [columns, rows] = [Math.max(4, width - margin - 2), Math.max(2, height - (title === undefined ? 2 : 3))]

  const cells = Array.from({ length: rows }, () => new Array<number>(columns).fill(0))
  const at = (x: number, y: number) =>
    [Math.round(((x - left) / (right - left)) * (2 * columns - 1)), Math.round(((high - y) / (high - low)) * (4 * rows - 1))] as const
  let before: readonly [number, number] | undefined
  for (const [x, y] of points) {
    if (!Number.isFinite(x) || !Number.isFinite(y)) {
      before = undefined
      continue
    }
    const point = at(x, y)
    for (const [px, py] of between(before ?? point, point)) cells[py >> 2]![px >> 1]! |= dots[px & 1]![py & 3]!
    before = point
  }

  const markAt = mark && finite.length > 0 ? at(tx(mark.x), low)[0] >> 1 : -1
  const cell = (bits: number, column: number): string => {
    if (bits > 0) return style(36, String.fromCharCode(0x2800 + bits))
    return column === markAt ? style(33, '┊') : ' '
  }
  const style = (code: number, text: string) => (color ? `\x1b[${code}m${text}\x1b[0m` : text)
  const labelOf = (row: number): string => (row === 0 ? labels[0]! : row === rows - 1 ? labels[2]! : row === rows >> 1 ? labels[1]! : '')
  const lines = cells.map((row, i) => `${padStart(labelOf(i), margin)} ┤${row.map(cell).join('')}`)
  const [first, last] = [left, right].map((value) => axisNumber(back(value, logX)))
  const middle = mark ? mark.label : axisNumber(back((left + right) / 2, logX))
  const space = Math.max(0, columns - first!.length - last!.length)
  const start = Math.min(
    Math.max(1, (mark ? markAt : columns >> 1) - first!.length - (middle.length >> 1)),
    Math.max(1, space - middle.length - 1),
  )
  const shown = space > middle.length + 2 ? padEnd(' '.repeat(start) + middle, space) : ' '.repeat(space)
  return [
    ...(title === undefined ? [] : [' '.repeat(margin + 2) + title]),
    ...lines,
    `${' '.repeat(margin)} └${'─'.repeat(columns)}`,
    `${' '.repeat(margin + 2)}${first}${mark ? style(33, shown) : shown}${last}`,
  ].join('\n')
}

const axisNumber = (value: number): string =>
  value !== 0 && (Math.abs(value) < 0.01 || Math.abs(value) >= 1e4) ? value.toExponential(0) : String(Number(value.toPrecision(3)))

/** Never empty, so that a flat line has a place. */
function range(values: readonly number[]): readonly [number, number] {
  if (values.length === 0) return [0, 1]
  const [low, high] = [Math.min(...values), Math.max(...values)]
  return low < high ? [low, high] : [low - 0.5, high + 0.5]
}

/** The dots of a line, both ends included. */
function between([x0, y0]: readonly [number, number], [x1, y1]: readonly [number, number]): [number, number][] {
  const steps = Math.max(Math.abs(x1 - x0), Math.abs(y1 - y0), 1)
  return Array.from({ length: steps + 1 }, (_, i) => [Math.round(x0 + ((x1 - x0) * i) / steps), Math.round(y0 + ((y1 - y0) * i) / steps)])
}
