/** `━━━━━╸────`, in half columns. */
export function drawBar(fraction: number, columns: number, color: boolean): string {
  const halves = Math.floor(fraction * columns * 2)
  const filled = '━'.repeat(halves >> 1) + (halves % 2 ? '╸' : '')
  const rest = '─'.repeat(columns - filled.length)
  if (!color) return filled + rest
  return `\x1b[${fraction === 1 ? 32 : 36}m${filled}\x1b[0m${rest && `\x1b[2m${rest}\x1b[0m`}`
}

export const formatCount = (n: number): string => (n < 10 && !Number.isInteger(n) ? n.toFixed(1) : Math.round(n).toLocaleString('en-US'))

/** Steady in width while a value moves within its range, so that the line does not jump. */
export function formatMetric(value: number): string {
  if (!Number.isFinite(value) || Number.isInteger(value)) return String(value)
  const size = Math.abs(value)
  if (size < 0.001 || size >= 1e6) return value.toExponential(2)
  return value.toFixed(size < 10 ? 4 : size < 1000 ? 2 : 0)
}

export const formatDuration = (ms: number): string => (ms < 59_950 ? `${(ms / 1000).toFixed(1)} s` : formatClock(ms))

/** `0:07`, `12:34` or `1:02:03`. */
export function formatClock(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1000))
  const two = (n: number): string => String(n).padStart(2, '0')
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60]
  return h ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}
