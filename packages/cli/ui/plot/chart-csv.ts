import type { Line } from './line.ts'

/** The points that a chart draws, one a line. Columns that no line has are left out. */
export function chartCsv(lines: readonly Line[], xName: string): string {
  const hasRaw = lines.some(({ raw }) => raw)
  const hasBand = lines.some(({ band }) => band)
  const heads = [
    hasBand ? 'group' : 'run',
    xName.toLowerCase(),
    hasBand ? 'mean' : 'value',
    ...(hasBand ? ['low', 'high', 'runs'] : []),
    ...(hasRaw ? ['unsmoothed'] : []),
  ]
  const rows = lines.flatMap(({ name, x, y, raw, band }) =>
    Array.from({ length: x.length }, (_, i) => [
      cell(name),
      x[i],
      y[i],
      ...(hasBand ? [band?.low[i], band?.high[i], band?.count[i]] : []),
      ...(hasRaw ? [raw?.[i]] : []),
    ]),
  )
  return `${[heads, ...rows].map((row) => row.join(',')).join('\n')}\n`
}

const cell = (text: string): string => (/[",\n\r]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text)
