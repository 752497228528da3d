import { CotangentError } from '../errors.ts'
import { colorAllowed, displayWidth, padEnd, padStart } from './terminal.ts'

export interface ArtOptions {
  /** Colour by escape sequences. By default where the output is a terminal and NO_COLOR does not forbid it. */
  color?: boolean
}

const reset = '\x1b[0m'
const grey = (layer: 38 | 48, level: number): string => `\x1b[${layer};2;${level};${level};${level}m`

/**
 * A grey picture of text, two pixel rows a line of text, without a final newline. With colour each character is two
 * pixels exactly ("▀" in 24-bit grey); without, the mean of the two picks a character from " .:-=+*#%@" (dark to light).
 *
 * @param pixels `height * width` numbers, row by row, of any array or typed array.
 * @param options `range` is what is black and what white, by default the smallest and the largest pixel.
 * @throws CotangentError `shape-mismatch` where `pixels` has another length.
 */
export function drawImage(
  pixels: ArrayLike<number>,
  width: number,
  height: number,
  { color = colorAllowed(), range }: ArtOptions & { range?: readonly [number, number] } = {},
): string {
  if (pixels.length !== width * height) {
    throw new CotangentError('shape-mismatch', {
      op: 'drawImage',
      message: `${pixels.length} pixels are not a picture ${width} wide and ${height} high`,
      hint: 'Draw one image of one channel at a time.',
    })
  }
  const [black, white] = range ?? extent(pixels)
  const level = (x: number, y: number): number => {
    const value = (pixels[y * width + x]! - black) / (white - black)
    return value > 0 ? Math.min(1, value) : 0 // NaN is black
  }
  const lines: string[] = []
  for (let y = 0; y < height; y += 2)
    lines.push(color ? colorLine(level, width, y, y + 1 < height) : rampLine(level, width, y, y + 1 < height))
  return lines.join('\n')
}

type Level = (x: number, y: number) => number

function colorLine(level: Level, width: number, y: number, hasBottom: boolean): string {
  let line = ''
  let before = ''
  for (let x = 0; x < width; x++) {
    const top = Math.round(255 * level(x, y))
    const bottom = hasBottom ? Math.round(255 * level(x, y + 1)) : undefined
    const colors = grey(38, top) + (bottom === undefined ? '' : grey(48, bottom))
    line += (colors === before ? '' : colors) + '▀'
    before = colors
  }
  return line + reset
}

const ramp = ' .:-=+*#%@'

function rampLine(level: Level, width: number, y: number, hasBottom: boolean): string {
  let line = ''
  for (let x = 0; x < width; x++) {
    const mean = hasBottom ? (level(x, y) + level(x, y + 1)) / 2 : level(x, y)
    line += ramp[Math.min(ramp.length - 1, Math.floor(mean * ramp.length))]
  }
  return line
}

function extent(values: ArrayLike<number>): [number, number] {
  let min = Number.POSITIVE_INFINITY
  let max = Number.NEGATIVE_INFINITY
  for (let i = 0; i < values.length; i++) {
    min = Math.min(min, values[i]!)
    max = Math.max(max, values[i]!)
  }
  return [min, max]
}

/** Blocks of text next to each other, aligned at the top: `sideBySide(digits.map(d => drawImage(d, 28, 28)))`. */
export function sideBySide(blocks: readonly string[], gap = 2): string {
  const columns = blocks.map((block) => block.split('\n'))
  const widths = columns.map((lines) => Math.max(...lines.map(displayWidth)))
  const height = Math.max(0, ...columns.map((lines) => lines.length))
  const rows = Array.from({ length: height }, (_, row) =>
    columns.map((lines, i) => padEnd(lines[row] ?? '', widths[i]!)).join(' '.repeat(gap)),
  )
  return rows.map((row) => row.trimEnd()).join('\n')
}

/**
 * A confusion matrix as a table: a row for each true class, a column for each predicted one, with recall (share of the
 * row that is right) at the end of each row and precision (share of the column) under each column. Zeros are dots, so that
 * mistakes stand out; with colour, right answers are green and mistakes red, the stronger the more of their row they take.
 *
 * @param counts `counts[truth][predicted]`, square.
 * @param labels One for each class, by default its number.
 * @throws CotangentError `shape-mismatch` where counts are not square or labels are not as many.
 */
export function confusionMatrixTable(
  counts: readonly (readonly number[])[],
  labels: readonly string[] = counts.map((_, i) => String(i)),
  { color = colorAllowed() }: ArtOptions = {},
): string {
  const classes = counts.length
  if (counts.some((row) => row.length !== classes) || labels.length !== classes) {
    throw new CotangentError('shape-mismatch', {
      op: 'confusionMatrixTable',
      message: `rows of lengths ${counts.map((row) => row.length).join(', ')} with ${labels.length} labels are not a square matrix with a label for each class`,
    })
  }
  const rowSums = counts.map((row) => row.reduce((a, b) => a + b, 0))
  const columnSums = labels.map((_, j) => counts.reduce((sum, row) => sum + row[j]!, 0))
  const recalls = counts.map((row, i) => percent(row[i]!, rowSums[i]!))
  const precisions = counts.map((row, j) => percent(row[j]!, columnSums[j]!))

  const corner = 'true \\ predicted'
  const head = Math.max(displayWidth(corner), displayWidth('precision'), ...labels.map(displayWidth))
  const cells = counts.map((row) => row.map((n) => (n ? String(n) : '·')))
  const widths = labels.map((label, j) => Math.max(displayWidth(label), precisions[j]!.length, ...cells.map((row) => row[j]!.length)))
  const last = Math.max('recall'.length, ...recalls.map((text) => text.length))

  const shade = (text: string, i: number, j: number): string => {
    const share = rowSums[i] ? counts[i]![j]! / rowSums[i] : 0
    if (!color || share === 0) return text
    // The square root makes a mistake in a hundred visible.
    const strength = Math.round(40 + 140 * Math.sqrt(share))
    return `\x1b[48;2;${i === j ? `0;${strength};0` : `${strength};0;0`}m\x1b[97m${text}${reset}`
  }
  const line = (name: string, middle: readonly string[], end: string): string =>
    `${padEnd(name, head)} │${middle.join('')} │ ${padStart(end, last)}`.trimEnd()
  const cell = (text: string, j: number): string => padStart(text, widths[j]! + 1)
  const rule = (cross: string): string =>
    `${'─'.repeat(head + 1)}${cross}${'─'.repeat(widths.reduce((a, b) => a + b + 1, 1))}${cross}${'─'.repeat(last + 1)}`

  return [
    line(corner, labels.map(cell), 'recall'),
    rule('┼'),
    ...cells.map((row, i) =>
      line(
        labels[i]!,
        row.map((text, j) => shade(cell(text, j), i, j)),
        recalls[i]!,
      ),
    ),
    rule('┼'),
    line('precision', precisions.map(cell), ''),
  ].join('\n')
}

/** `99.1%`, or a dash where there was nothing to be right about. */
const percent = (part: number, whole: number): string => (whole ? `${((100 * part) / whole).toFixed(1)}%` : '–')
