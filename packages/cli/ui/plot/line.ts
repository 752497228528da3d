/** A curve of a chart. */
export interface Line {
  id: number
  name: string
  color: string
  dash: readonly number[]
  /** Ascending. */
  x: ArrayLike<number>
  y: ArrayLike<number>
  /** Drawn pale behind the line: the values before smoothing, at the same x. */
  raw?: ArrayLike<number> | undefined
  /** Of a line that stands for several: between what they lie, and how many of them there are, at the same x. */
  band?: Band | undefined
  /** Ids of what it stands for: it is highlighted with any of them. */
  members?: readonly number[] | undefined
}

export interface Band {
  low: ArrayLike<number>
  high: ArrayLike<number>
  count: ArrayLike<number>
}

/** Can this value be drawn? */
export const isDrawn = (value: number, log: boolean): boolean => Number.isFinite(value) && (!log || value > 0)
