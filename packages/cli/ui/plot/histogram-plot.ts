import type { HistogramSeries } from '../../src/board/protocol.ts'
import { sequentialColor } from '../palette.ts'
import { styleOf } from '../theme.ts'
import { formatValue } from '../words.ts'
import { evenTicks } from './even-ticks.ts'

export interface HistogramLayout {
  width: number
  height: number
  /** Which moments are drawn, from the back (top) to the front. */
  rows: number[]
  /** Foot of a row, by its place in `rows`. */
  y: (place: number) => number
  /** Left edge of a bucket. */
  x: (bucket: number) => number
  /** Height of a row, or of the highest mountain. */
  rowHeight: number
  hit: (x: number, y: number) => { row: number; bucket: number } | undefined
}

interface Room {
  width: number
  height: number
  style: 'ridges' | 'heatmap'
}

const foot = 26
const right = 46
const left = 8
/** Ridges closer than this, in CSS pixels, run into one another. */
const closest = 5

/** Where moments and buckets lie on the canvas. */
export function layOut(series: HistogramSeries, { width, height, style }: Room): HistogramLayout {
  const ridges = style === 'ridges'
  const top = ridges ? Math.round(height * 0.28) : 8
  const room = Math.max(1, height - top - foot)
  const all = series.steps.length
  const most = Math.max(2, Math.floor(room / (ridges ? closest : 1)))
  const rows =
    all <= most ? series.steps.map((_, i) => i) : Array.from({ length: most }, (_, i) => Math.round((i * (all - 1)) / (most - 1)))
  const buckets = series.edges.length - 1
  const bucketWidth = Math.max(0, width - left - right) / buckets
  const spacing = room / (ridges ? Math.max(1, rows.length - 1) : rows.length)
  const y = (place: number): number => (ridges ? (rows.length > 1 ? top + place * spacing : height - foot) : top + (place + 1) * spacing)
  return {
    width,
    height,
    rows,
    y,
    x: (bucket) => left + bucket * bucketWidth,
    rowHeight: ridges ? top * 0.92 + Math.min(spacing, 12) : spacing,
    hit: (px, py) => {
      const bucket = Math.floor((px - left) / bucketWidth)
      const row = ridges ? Math.round((py + 4 - top) / spacing) : Math.floor((py - top) / spacing)
      return bucket >= 0 && bucket < buckets && row >= 0 && row < rows.length ? { row, bucket } : undefined
    },
  }
}

type At = { row: number; bucket: number } | undefined

const highest = (series: HistogramSeries, rows: readonly number[]): number =>
  rows.reduce((most, row) => Math.max(most, ...series.counts[row]!), 0) || 1

/** Mountains, one behind the other. */
export function drawRidges(ctx: CanvasRenderingContext2D, series: HistogramSeries, layout: HistogramLayout, color: string, at: At): void {
  const { rows, y, x, rowHeight } = layout
  const most = highest(series, rows)
  const half = x(0.5) - x(0)
  const panel = styleOf('--panel')
  for (const [place, row] of rows.entries()) {
    const counts = series.counts[row]!
    const base = y(place)
    ctx.beginPath()
    ctx.moveTo(x(0), base)
    counts.forEach((n, bucket) => ctx.lineTo(x(bucket) + half, base - (n / most) * rowHeight))
    ctx.lineTo(x(counts.length), base)
    // Later ones are darker, so that time is seen without reading steps.
    const age = rows.length > 1 ? place / (rows.length - 1) : 1
    ctx.fillStyle = `color-mix(in oklab, ${color} ${Math.round(25 + 55 * age)}%, ${panel})`
    ctx.fill()
    ctx.strokeStyle = at?.row === place ? styleOf('--text') : panel
    ctx.lineWidth = at?.row === place ? 1.5 : 1
    ctx.stroke()
  }
  if (at && rows[at.row] !== undefined) {
    const n = series.counts[rows[at.row]!]![at.bucket]!
    ctx.beginPath()
    ctx.arc(x(at.bucket) + half, y(at.row) - (n / most) * rowHeight, 3, 0, 2 * Math.PI)
    ctx.fillStyle = styleOf('--text')
    ctx.fill()
  }
  axes(ctx, series, layout)
}

/** A cell for each moment and bucket; darker (or lighter, on a dark page) is more. */
export function drawHeatmap(ctx: CanvasRenderingContext2D, series: HistogramSeries, layout: HistogramLayout, _color: string, at: At): void {
  const { rows, y, x, rowHeight } = layout
  const most = highest(series, rows)
  for (const [place, row] of rows.entries()) {
    series.counts[row]!.forEach((n, bucket) => {
      if (n <= 0) return
      ctx.fillStyle = sequentialColor(Math.sqrt(n / most))
      // A little wider than a cell, or seams would show.
      ctx.fillRect(x(bucket), y(place) - rowHeight, x(1) - x(0) + 0.5, rowHeight + 0.5)
    })
  }
  if (at && rows[at.row] !== undefined) {
    ctx.strokeStyle = styleOf('--text')
    ctx.strokeRect(x(at.bucket), y(at.row) - rowHeight, x(1) - x(0), rowHeight)
  }
  axes(ctx, series, layout)
}

function axes(
  ctx: CanvasRenderingContext2D,
  { edges, steps }: HistogramSeries,
  { rows, x, y, width, height, rowHeight }: HistogramLayout,
): void {
  ctx.font = `11px ${styleOf('--font')}`
  ctx.fillStyle = styleOf('--text-faint')
  const [low, high] = [edges[0]!, edges.at(-1)!]
  ctx.textAlign = 'center'
  for (const tick of high > low ? evenTicks(low, high, Math.max(2, Math.floor((width - left - right) / 64))) : []) {
    // As much of it as the axis has room for at its ends.
    const at = x(((tick - low) / (high - low)) * (edges.length - 1))
    ctx.fillText(formatValue(tick), Math.max(at, 14), height - 8)
  }
  ctx.textAlign = 'right'
  ctx.fillText('Step', width - 4, height - 8)
  let previous = Infinity
  for (let place = rows.length - 1; place >= 0; place--) {
    const at = y(place) - (rowHeight < 20 ? rowHeight / 2 - 4 : 0)
    if (previous - at < 22) continue
    ctx.fillText(formatValue(steps[rows[place]!]!), width - 4, at)
    previous = at
  }
}
