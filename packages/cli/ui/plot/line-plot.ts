import uPlot from 'uplot'
import { lowerBound } from '../../src/board/series.ts'
import { styleOf } from '../theme.ts'
import { formatDuration, formatValue } from '../words.ts'
import { logTicks } from './log-ticks.ts'

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
}

export type XKind = 'number' | 'duration' | 'time'

export interface LinePlotOptions {
  xKind: XKind
  /** What stands along the axes. Dates say themselves what they are. */
  xLabel?: string | undefined
  yLabel?: string | undefined
  logX: boolean
  logY: boolean
  /** Fits the y axis to what lies between the 1st and the 99th percentile. */
  skipsOutliers: boolean
  /** Fixed ranges, e.g. 0 to 1. */
  xRange?: readonly [number, number] | undefined
  yRange?: readonly [number, number] | undefined
}

export interface Hover {
  x: number
  left: number
  top: number
  /** The point of each line next to the cursor, nearest line first. `value` is that of the line, `raw` that before smoothing. */
  points: HoverPoint[]
}

interface HoverPoint {
  line: Line
  x: number
  value: number
  raw: number | undefined
  distance: number
  /** Where it is drawn, in CSS pixels of the chart; undefined where it is not to be seen. */
  at: { left: number; top: number } | undefined
}

interface LinePlotEvents {
  hover: (hover: Hover | undefined) => void
  /** The user chose a part of the x axis, or all of it again. */
  zoom: (range: readonly [number, number] | undefined) => void
}

/** A line of so few points is seen with all of its values before smoothing. */
const fewPoints = 64
const dotRadius = 2.25
/** Lines with fewer points than one in this many pixels show them. */
const dotSpacing = 24

/** Many lines, each on points of its own, on one canvas. uPlot keeps axes, cursor and selection; lines are drawn here. */
export class LinePlot {
  readonly #plot: uPlot
  readonly #events: LinePlotEvents
  #options: LinePlotOptions
  #lines: readonly Line[] = []
  #extent: { x: Extent; y: Extent }
  #zoom: { x: readonly [number, number] | undefined; y: readonly [number, number] | undefined } = { x: undefined, y: undefined }
  #highlight: number | undefined

  constructor(root: HTMLElement, size: { width: number; height: number }, options: LinePlotOptions, events: LinePlotEvents) {
    this.#options = options
    this.#events = events
    this.#extent = extentOf([], options, undefined)
    this.#plot = new uPlot(
      this.#settings(size),
      [
        [0, 1],
        [null, null],
      ],
      root,
    )
    root.addEventListener('dblclick', () => this.resetZoom())
  }

  destroy(): void {
    this.#plot.destroy()
  }

  resize(width: number, height: number): void {
    if (this.#plot.width !== width || this.#plot.height !== height) this.#plot.setSize({ width, height })
  }

  show(lines: readonly Line[], highlight: number | undefined): void {
    this.#lines = lines
    this.#highlight = highlight
    this.redraw()
  }

  highlight(id: number | undefined): void {
    if (this.#highlight === id) return
    this.#highlight = id
    this.#plot.redraw(false)
  }

  redraw(): void {
    this.#extent = extentOf(this.#lines, this.#options, this.#zoom.x)
    this.#plot.setData([[...this.#extent.x], [null, null]], true)
  }

  resetZoom(): void {
    this.#zoom = { x: undefined, y: undefined }
    this.redraw()
    this.#events.zoom(undefined)
  }

  get isZoomed(): boolean {
    return this.#zoom.x !== undefined || this.#zoom.y !== undefined
  }

  /** Puts the cursor to the next point of any line, to the right (1) or the left (-1). */
  moveCursor(direction: 1 | -1): void {
    const left = this.#plot.cursor.left ?? -1
    const width = this.#plot.over.clientWidth
    const next = left < 0 ? (direction > 0 ? 0 : width) : Math.min(width, Math.max(0, left + direction * Math.max(4, width / 50)))
    this.#plot.setCursor({ left: next, top: this.#plot.over.clientHeight / 2 })
  }

  hideCursor(): void {
    this.#plot.setCursor({ left: -10, top: -10 })
  }

  /** Zooms around the cursor, or the middle. */
  zoomBy(factor: number): void {
    const [from, to] = this.#zoom.x ?? this.#extent.x
    const { left = -1 } = this.#plot.cursor
    const middle = left < 0 ? (this.#options.logX ? Math.sqrt(from * to) : (from + to) / 2) : this.#plot.posToVal(left, 'x')
    const low = this.#options.logX ? middle * (from / middle) ** factor : middle - (middle - from) * factor
    const high = this.#options.logX ? middle * (to / middle) ** factor : middle + (to - middle) * factor
    this.#setZoom([low, high], this.#zoom.y)
  }

  #setZoom(x: readonly [number, number], y: readonly [number, number] | undefined): void {
    this.#zoom = { x, y }
    this.redraw()
    this.#events.zoom(x)
  }

  #settings({ width, height }: { width: number; height: number }): uPlot.Options {
    const { xKind, logX, logY, xLabel, yLabel } = this.#options
    const font = `11px ${styleOf('--font') || 'sans-serif'}`
    const axis: uPlot.Axis = {
      font,
      stroke: () => styleOf('--text-faint'),
      grid: { stroke: () => styleOf('--grid'), width: 1 },
      ticks: { show: false },
      border: { show: false },
      labelFont: font,
      labelSize: 16,
      labelGap: 0,
    }
    return {
      width,
      height,
      padding: [8, 12, 0, 0],
      pxAlign: 1,
      legend: { show: false },
      scales: {
        x: { time: xKind === 'time', distr: logX ? 3 : 1, range: () => (this.#zoom.x as uPlot.Range.MinMax) ?? this.#extent.x },
        y: { distr: logY ? 3 : 1, range: () => (this.#zoom.y as uPlot.Range.MinMax) ?? this.#extent.y },
      },
      axes: [
        {
          ...axis,
          ...(logX && logAxis(72)),
          ...(xLabel !== undefined && { label: xLabel }),
          size: xKind === 'time' ? 42 : xLabel === undefined ? 28 : 23,
          gap: 6,
          space: 56,
          ...(xKind !== 'time' && { values: (_, ticks) => labels(ticks, xKind === 'duration' ? formatDuration : short) }),
        },
        {
          ...axis,
          ...(logY && logAxis(26)),
          ...(yLabel !== undefined && { label: yLabel }),
          size: (plot, ticks) => axisWidth(plot, ticks, font),
          gap: 6,
          space: 28,
          values: (_, ticks) => labels(ticks, short),
        },
      ],
      series: [{}, { show: true, points: { show: false }, paths: () => null }],
      cursor: { points: { show: false }, drag: { x: true, y: true, uni: 24, setScale: false }, y: false },
      hooks: {
        draw: [(plot) => this.#draw(plot)],
        setCursor: [(plot) => this.#hover(plot)],
        setSelect: [(plot) => this.#select(plot)],
      },
    }
  }

  #select(plot: uPlot): void {
    const { left, top, width, height } = plot.select
    if (width < 4 && height < 4) return
    plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
    const isWhole = (size: number, all: number): boolean => size >= all - 1 || size < 4
    const x: [number, number] = [plot.posToVal(left, 'x'), plot.posToVal(left + width, 'x')]
    const y: [number, number] = [plot.posToVal(top + height, 'y'), plot.posToVal(top, 'y')]
    this.#setZoom(
      isWhole(width, plot.over.clientWidth) ? (this.#zoom.x ?? this.#extent.x) : x,
      isWhole(height, plot.over.clientHeight) ? this.#zoom.y : y,
    )
  }

  #hover(plot: uPlot): void {
    const { left = -1, top = -1 } = plot.cursor
    if (left < 0 || this.#lines.length === 0) return this.#events.hover(undefined)
    const at = plot.posToVal(left, 'x')
    const { offsetLeft, offsetTop, clientWidth, clientHeight } = plot.over
    const points: Hover['points'] = []
    for (const line of this.#lines) {
      const index = nearest(line.x, at)
      if (index < 0) continue
      const value = line.y[index]!
      const x = plot.valToPos(line.x[index]!, 'x')
      const y = Number.isFinite(value) && (!this.#options.logY || value > 0) ? plot.valToPos(value, 'y') : Infinity
      const isSeen = x >= 0 && x <= clientWidth && y >= 0 && y <= clientHeight
      points.push({
        line,
        x: line.x[index]!,
        value,
        raw: line.raw?.[index],
        distance: Math.hypot(y - top, (x - left) / 4),
        at: isSeen ? { left: offsetLeft + x, top: offsetTop + y } : undefined,
      })
    }
    points.sort((a, b) => a.distance - b.distance)
    return this.#events.hover({ x: at, left: left + offsetLeft, top: top + offsetTop, points })
  }

  #draw(plot: uPlot): void {
    const { ctx, bbox } = plot
    const ratio = devicePixelRatio
    ctx.save()
    ctx.beginPath()
    // Dots at the edges are round, too.
    const rim = dotRadius * ratio
    ctx.rect(bbox.left - rim, bbox.top - rim, bbox.width + 2 * rim, bbox.height + 2 * rim)
    ctx.clip()
    ctx.lineJoin = 'round'
    const dimmed = this.#highlight !== undefined && this.#lines.some(({ id }) => id === this.#highlight)
    const last = (line: Line): number => (line.id === this.#highlight ? 1 : 0)
    for (const line of dimmed ? [...this.#lines].sort((a, b) => last(a) - last(b)) : this.#lines) {
      const strong = line.id === this.#highlight
      const alpha = dimmed && !strong ? 0.2 : 1
      const toX = (v: number): number => plot.valToPos(v, 'x', true)
      const toY = (v: number): number => plot.valToPos(v, 'y', true)
      ctx.strokeStyle = line.color
      ctx.fillStyle = line.color
      if (line.raw) {
        ctx.globalAlpha = alpha * 0.26
        ctx.lineWidth = ratio
        ctx.setLineDash([])
        stroke(ctx, line.x, line.raw, toX, toY, this.#options.logY, bbox)
      }
      ctx.globalAlpha = alpha
      ctx.lineWidth = (strong ? 2.25 : 1.5) * ratio
      ctx.setLineDash(line.dash.map((n) => n * ratio))
      stroke(ctx, line.x, line.y, toX, toY, this.#options.logY, bbox)
      ctx.setLineDash([])
      if (line.x.length * dotSpacing * ratio < bbox.width) dots(ctx, line, toX, toY, dotRadius * ratio)
    }
    ctx.restore()
  }
}

/** One path; what is not finite (or not positive on a log axis) leaves a gap, with a small triangle at the foot of the plot. */
function stroke(
  ctx: CanvasRenderingContext2D,
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  toX: (v: number) => number,
  toY: (v: number) => number,
  logY: boolean,
  { top, height }: uPlot.BBox,
): void {
  ctx.beginPath()
  let isDown = false
  const strange: number[] = []
  for (let i = 0; i < x.length; i++) {
    const value = y[i]!
    if (!Number.isFinite(value) || (logY && value <= 0)) {
      isDown = false
      strange.push(toX(x[i]!))
      continue
    }
    if (isDown) ctx.lineTo(toX(x[i]!), toY(value))
    else ctx.moveTo(toX(x[i]!), toY(value))
    isDown = true
  }
  ctx.stroke()
  const size = 4 * devicePixelRatio
  ctx.beginPath()
  for (const at of strange) {
    ctx.moveTo(at, top + height - 2 * size)
    ctx.lineTo(at + size, top + height)
    ctx.lineTo(at - size, top + height)
  }
  ctx.fill()
}

function dots(ctx: CanvasRenderingContext2D, { x, y }: Line, toX: (v: number) => number, toY: (v: number) => number, radius: number): void {
  ctx.beginPath()
  for (let i = 0; i < x.length; i++) {
    if (!Number.isFinite(y[i]!)) continue
    ctx.moveTo(toX(x[i]!) + radius, toY(y[i]!))
    ctx.arc(toX(x[i]!), toY(y[i]!), radius, 0, 2 * Math.PI)
  }
  ctx.fill()
}

/** The index whose x is next to `at`, or -1 of an empty line. */
function nearest(x: ArrayLike<number>, at: number): number {
  const after = lowerBound(x, at)
  if (after === x.length) return x.length - 1
  return after > 0 && at - x[after - 1]! < x[after]! - at ? after - 1 : after
}

type Extent = [number, number]

/** What the axes have to hold: all x, and the y of what lies in view. */
function extentOf(
  lines: readonly Line[],
  options: LinePlotOptions,
  zoomX: readonly [number, number] | undefined,
): { x: Extent; y: Extent } {
  const { logX, logY, skipsOutliers, xRange, yRange } = options
  const x: Extent = [Infinity, -Infinity]
  const y: Extent = [Infinity, -Infinity]
  const all: number[] = []
  const [from, to] = zoomX ?? [-Infinity, Infinity]
  for (const line of lines) {
    for (let i = 0; i < line.x.length; i++) {
      const at = line.x[i]!
      if (logX && at <= 0) continue
      if (at < x[0]) x[0] = at
      if (at > x[1]) x[1] = at
      if (at < from || at > to) continue
      // The line itself is to be seen; what lies pale behind it may leave the plot where it is long and wild.
      for (const value of line.raw && line.x.length <= fewPoints ? [line.y[i]!, line.raw[i]!] : [line.y[i]!]) {
        if (!Number.isFinite(value) || (logY && value <= 0)) continue
        if (skipsOutliers) all.push(value)
        if (value < y[0]) y[0] = value
        if (value > y[1]) y[1] = value
      }
    }
  }
  if (skipsOutliers && all.length > 10) {
    const sorted = Float64Array.from(all).sort()
    y[0] = sorted[Math.floor(0.01 * (sorted.length - 1))]!
    y[1] = sorted[Math.ceil(0.99 * (sorted.length - 1))]!
  }
  return { x: xRange ? [...xRange] : padded(x, 0, logX), y: yRange ? [...yRange] : padded(y, 0.06, logY) }
}

function padded([low, high]: Extent, share: number, log: boolean): Extent {
  if (!(low <= high)) return log ? [1, 10] : [0, 1]
  if (log) {
    const room = low === high ? 2 : (high / low) ** share
    return [low / room, high * room]
  }
  const room = low === high ? Math.max(Math.abs(low) * 0.1, 0.5) : (high - low) * share
  return [low - room, high + room]
}

/** An axis with the ticks of {@link logTicks}, all of them with labels; `space` is what one takes at least, in CSS pixels. */
const logAxis = (space: number): Partial<uPlot.Axis> => ({
  splits: (plot, index, min, max) => logTicks(min, max, (index === 0 ? plot.over.clientWidth : plot.over.clientHeight) / space),
  filter: (_, ticks) => ticks,
})

const labels = (ticks: readonly number[], words: (v: number) => string): string[] => ticks.map(words)

const suffixes: readonly (readonly [number, string])[] = [
  [1e9, 'G'],
  [1e6, 'M'],
  [1e3, 'k'],
]

/** A tick in few characters: 25k, 1.5M. */
function short(value: number): string {
  const size = Math.abs(value)
  const suffix = suffixes.find(([unit]) => size >= unit && size < 1e12)
  return suffix ? formatValue(Number((value / suffix[0]).toPrecision(6))) + suffix[1] : formatValue(Number(value.toPrecision(6)))
}

function axisWidth(plot: uPlot, ticks: string[] | null, font: string): number {
  plot.ctx.save()
  plot.ctx.font = font
  const widest = Math.max(...(ticks ?? ['']).map((text) => plot.ctx.measureText(text).width))
  plot.ctx.restore()
  return Math.max(34, Math.ceil(widest) + 14)
}
