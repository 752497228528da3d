const levels = '▁▂▃▄▅▆▇█'

/** The scale of the bars. */
export interface SparklineOptions {
  /** Bars as high as logarithms, where all numbers are positive: losses fall fast at first. */
  readonly log?: boolean
}

/** Numbers as a row of bars, from the least to the greatest; what is not finite leaves a gap. */
export function sparkline(values: readonly number[], columns: number, { log = false }: SparklineOptions = {}): string {
  const means = resample(values, columns)
  const shown = log && means.every((value) => !(value <= 0)) ? means.map(Math.log) : means
  const finite = shown.filter(Number.isFinite)
  const [low, high] = [Math.min(...finite), Math.max(...finite)]
  return shown
    .map((value) =>
      Number.isFinite(value) ? levels[high > low ? Math.round(((value - low) / (high - low)) * (levels.length - 1)) : 0]! : ' ',
    )
    .join('')
}

/** Means of as many stretches as there are columns; fewer values stay as they are. */
function resample(values: readonly number[], columns: number): number[] {
  if (values.length <= columns) return [...values]
  return Array.from({ length: columns }, (_, i) => {
    const part = values.slice(Math.floor((i * values.length) / columns), Math.floor(((i + 1) * values.length) / columns))
    return part.reduce((a, b) => a + b, 0) / part.length
  })
}

/** Samples of a curve whose number stays bounded: when there are too many, neighbours become one. */
export class Curve {
  readonly #capacity: number
  #values: number[] = []
  #width = 1
  #sum = 0
  #count = 0

  constructor(capacity = 256) {
    this.#capacity = capacity
  }

  get values(): readonly number[] {
    return this.#count > 0 ? [...this.#values, this.#sum / this.#count] : this.#values
  }

  push(value: number): void {
    this.#sum += value
    if (++this.#count < this.#width) return
    this.#values.push(this.#sum / this.#count)
    this.#sum = this.#count = 0
    if (this.#values.length < this.#capacity) return
    this.#values = this.#values.flatMap((x, i, all) => (i % 2 === 0 ? [(x + (all[i + 1] ?? x)) / 2] : []))
    this.#width *= 2
  }
}
