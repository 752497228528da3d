/** Numbers and times in words that people read. */

const minus = '\u2212'

/** A value with five significant digits, small and large ones with a power. */
export function formatValue(value: number | null): string {
  if (value === null) return '\u2013'
  if (!Number.isFinite(value)) return Number.isNaN(value) ? 'NaN' : value > 0 ? '\u221e' : `${minus}\u221e`
  if (value === 0) return '0'
  const size = Math.abs(value)
  if (Number.isInteger(value) && size < 1e7) return value.toLocaleString('en').replace('-', minus)
  const text =
    size < 1e-4 || size >= 1e6
      ? value
          .toExponential(3)
          .replace(/\.?0+e/, 'e')
          .replace('e+', 'e')
      : String(Number(value.toPrecision(5)))
  return text.replaceAll('-', minus)
}

/** A setting of a run, or what it measured; null where it has none. */
export type Cell = number | string | boolean | null

export const formatCell = (cell: Cell): string => (typeof cell === 'number' || cell === null ? formatValue(cell) : String(cell))

const units: readonly (readonly [number, string])[] = [
  [86_400, 'd'],
  [3600, 'h'],
  [60, 'm'],
  [1, 's'],
]

/** Seconds as `1h 23m`, the two largest units that count. */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '\u2013'
  if (Math.abs(seconds) < 60) return `${Number(seconds.toFixed(Math.abs(seconds) < 10 ? 2 : 0))}s`.replace('-', minus)
  let rest = Math.round(Math.abs(seconds))
  const parts = units.map(([size, name]): [number, string] => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return [count, name]
  })
  const first = parts.findIndex(([count]) => count > 0)
  const shown = parts.slice(first, first + 2).filter(([count]) => count > 0)
  return (seconds < 0 ? minus : '') + shown.map(([count, name]) => `${count}${name}`).join(' ')
}

/** Seconds since 1970 as a date and time here. */
export const formatTime = (seconds: number): string =>
  new Date(seconds * 1000).toLocaleString(undefined, {
    year: 'numeric',
    month: 'short',
    day: 'numeric',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })

/** How long before `now` a time was, roughly; both in seconds since 1970. */
export function formatAge(seconds: number, now: number): string {
  const age = now - seconds
  if (age < 60) return 'just now'
  const [size, name] = units.find(([unit]) => age >= unit)!
  return `${Math.floor(age / size)}${name} ago`
}

export function formatBytes(bytes: number): string {
  const names = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = bytes < 1 ? 0 : Math.min(names.length - 1, Math.floor(Math.log10(bytes) / 3))
  return `${Number((bytes / 1000 ** power).toPrecision(3))} ${names[power]}`
}

export const count = (n: number, noun: string): string => `${n.toLocaleString('en')} ${noun}${n === 1 ? '' : 's'}`
