import uPlot from 'uplot'
import { lowerBound } from '../../src/board/series.ts'
import { styleOf } from '../theme.ts'
import { formatDuration, formatValue } from '../words.ts'
import type { ChartDrawing } from './chart-svg.ts'
import { type Extent, extentOf } from './line-extent.ts'
import { LineLayers } from './line-layers.ts'
import { isDrawn, type Line } from './line.ts'
import { logTicks } from './log-ticks.ts'
import { scaleOf } from './scale-of.ts'

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
  index: number
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

/** uPlot keeps what it has drawn along an axis, but does not tell its types. */
interface DrawnAxis extends uPlot.Axis {
  _splits?: number[] | null
  _values?: (string | number | null)[] | null
}

/** Many lines, each on points of its own. uPlot keeps axes, cursor and selection; {@link LineLayers} draws the lines. */
export class LinePlot {
  readonly #plot: uPlot
  readonly #layers: LineLayers
  readonly #events: LinePlotEvents
  #options: LinePlotOptions
  #lines: readonly Line[] = []
  #extent: { x: Extent; y: Extent }
  #zoom: { x: readonly [number, number] | undefined; y: readonly [number, number] | undefined } = { x: undefined, y: undefined }

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
    this.#layers = new LineLayers(this.#plot)
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
    this.redraw()
    this.#layers.highlight(highlight)
  }

  highlight(id: number | undefined): void {
    this.#layers.highlight(id)
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

  /** What is drawn now, for pictures and tables of it. */
  drawing(): ChartDrawing {
    const { over, width, height, axes } = this.#plot
    const { logX, logY, xLabel, yLabel } = this.#options
    const { offsetLeft: left, offsetTop: top, clientWidth, clientHeight } = over
    const [toX, toY] = [
      scaleOf(this.#plot, 'x', { isLog: logX, inCanvas: false }),
      scaleOf(this.#plot, 'y', { isLog: logY, inCanvas: false }),
    ]
    const [x, y] = [(value: number) => left + toX(value), (value: number) => top + toY(value)]
    const ticks = (index: number, place: (value: number) => number) => {
      const { _splits: splits, _values: words } = axes[index] as DrawnAxis
      return (splits ?? []).map((value, i) => ({ at: place(value), words: String(words?.[i] ?? '') }))
    }
    return {
      width,
      height,
      box: { left, top, width: clientWidth, height: clientHeight },
      x,
      y,
      logY,
      ticks: { x: ticks(0, x), y: ticks(1, y) },
      labels: { x: xLabel, y: yLabel },
      lines: this.#lines,
    }
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
        draw: [() => this.#layers?.draw(this.#lines, this.#options)],
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
      const y = isDrawn(value, this.#options.logY) ? plot.valToPos(value, 'y') : Infinity
      const isSeen = x >= 0 && x <= clientWidth && y >= 0 && y <= clientHeight
      points.push({
        line,
        index,
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
}

/** The index whose x is next to `at`, or -1 of an empty line. */
function nearest(x: ArrayLike<number>, at: number): number {
  const after = lowerBound(x, at)
  if (after === x.length) return x.length - 1
  return after > 0 && at - x[after - 1]! < x[after]! - at ? after - 1 : after
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
