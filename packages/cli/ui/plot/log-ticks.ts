import { evenTicks } from './even-ticks.ts'

/**
 * At most `most` round numbers on a log axis from `low` to `high`, both above zero: powers of ten, every so many if there are too many; with 2
 * and 5 between them if there is room; and even ones where the axis spans less than a power.
 */
export function logTicks(low: number, high: number, most: number): number[] {
  const room = Math.max(2, Math.floor(most))
  const within = (tick: number): boolean => tick >= low && tick <= high
  const first = Math.floor(Math.log10(low))
  const all = Array.from({ length: Math.ceil(Math.log10(high)) - first + 1 }, (_, i) => first + i)
  const stride = Math.max(1, Math.ceil(all.filter((power) => within(Number(`1e${power}`))).length / room))
  const powers = all.filter((power) => power % stride === 0)
  for (const digits of stride === 1 ? [[1, 2, 5], [1, 3], [1]] : []) {
    const ticks = powers.flatMap((power) => digits.map((digit) => Number(`${digit}e${power}`))).filter(within)
    if (ticks.length >= 3 && ticks.length <= room) return ticks
  }
  const ticks = powers.map((power) => Number(`1e${power}`)).filter(within)
  return ticks.length >= 2 ? ticks.slice(0, room) : evenTicks(low, high, room)
}
