/** A column of a table of text. */
interface Column {
  readonly title: string
  /** Default: left. */
  readonly align?: 'left' | 'right'
}

/** Rows under a line of titles, in columns as wide as need be. */
export function textTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, i) => Math.max(title.length, ...rows.map((row) => row[i]!.length)))
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (columns[i]!.align === 'right' ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
      .join('  ')
      .trimEnd()
  const rule = widths.map((width) => '-'.repeat(width)).join('  ')
  return [line(columns.map(({ title }) => title)), rule, ...rows.map(line)].join('\n')
}

const scales = ['', 'k', 'M', 'G', 'T']

/** `12.3 MFLOP`: three digits and a power of a thousand. */
export function formatCount(n: number, unit: string): string {
  const power = n < 1000 ? 0 : Math.min(scales.length - 1, Math.floor(Math.log10(n) / 3))
  const value = n / 1000 ** power
  return `${Number.isInteger(value) && value < 1000 ? value : value.toPrecision(3)} ${scales[power]}${unit}`
}

/** `1.23 ms`, of milliseconds. */
export function formatTime(ms: number): string {
  if (ms >= 1000) return `${(ms / 1000).toPrecision(3)} s`
  return ms >= 1 ? `${ms.toPrecision(3)} ms` : `${Number((ms * 1000).toPrecision(3))} us`
}
