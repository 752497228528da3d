/** One scalar over time: three columns that grow together. Steps never go back: see {@link Series.add}. */
export class Series {
  #length = 0
  #steps = new Float64Array(16)
  #times = new Float64Array(16)
  #values = new Float64Array(16)

  get length(): number {
    return this.#length
  }
  get steps(): Float64Array {
    return this.#steps.subarray(0, this.#length)
  }
  /** Seconds since 1970. */
  get times(): Float64Array {
    return this.#times.subarray(0, this.#length)
  }
  get values(): Float64Array {
    return this.#values.subarray(0, this.#length)
  }

  /**
   * Appends a point. One whose step lies before the last one's is what a run that went on from a checkpoint writes: the points
   * that it writes again are dropped, as TensorBoard does.
   */
  add(step: number, time: number, value: number): void {
    if (this.#length > 0 && step < this.#steps[this.#length - 1]!) this.#length = lowerBound(this.steps, step)
    if (this.#length === this.#steps.length) {
      this.#steps = grown(this.#steps)
      this.#times = grown(this.#times)
      this.#values = grown(this.#values)
    }
    this.#steps[this.#length] = step
    this.#times[this.#length] = time
    this.#values[this.#length++] = value
  }
}

const grown = (old: Float64Array<ArrayBuffer>): Float64Array<ArrayBuffer> => {
  const wider = new Float64Array(old.length * 2)
  wider.set(old)
  return wider
}

/** The index of the first number of an ascending column that is not below `wanted`. */
export function lowerBound(column: ArrayLike<number>, wanted: number): number {
  let low = 0
  let high = column.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (column[middle]! < wanted) low = middle + 1
    else high = middle
  }
  return low
}
