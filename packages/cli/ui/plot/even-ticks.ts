/** At most `most` round numbers from `low` to `high`, evenly apart. */
export function evenTicks(low: number, high: number, room: number): number[] {
  const rough = (high - low) / room
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough) ?? rough
  const first = Math.ceil(low / step)
  return Array.from({ length: Math.max(0, Math.floor(high / step) - first + 1) }, (_, i) => Number(((first + i) * step).toPrecision(12)))
}
