import type uPlot from 'uplot'
import { isDrawn, type Line } from './line.ts'
import { scaleOf } from './scale-of.ts'

const dotRadius = 2.25
/** Lines with fewer points than one in this many pixels show them. */
const dotSpacing = 24
const dimmed = '0.2'
const rawAlpha = 0.26
const bandAlpha = 0.16

/** Where values are drawn, in pixels of the canvas. */
interface Scales {
  x: (value: number) => number
  y: (value: number) => number
  logY: boolean
  bbox: uPlot.BBox
}

/**
 * The lines of a plot on two canvases between its axes and its cursor: all of them, and on top the one that the user looks at, while the
 * others are dimmed as a picture. So moving over a thousand lines draws one.
 */
export class LineLayers {
  readonly #plot: uPlot
  readonly #all = layer()
  readonly #top = layer()
  #lines: readonly Line[] = []
  #scales: Scales | undefined
  #highlight: number | undefined

  constructor(plot: uPlot) {
    this.#plot = plot
    plot.over.before(this.#all, this.#top)
  }

  /** Draws all lines anew, where the axes are now. */
  draw(lines: readonly Line[], { logX, logY }: { logX: boolean; logY: boolean }): void {
    const { width, height } = this.#plot.ctx.canvas
    for (const canvas of [this.#all, this.#top]) {
      canvas.width = width
      canvas.height = height
    }
    this.#lines = lines
    this.#scales = {
      x: scaleOf(this.#plot, 'x', { isLog: logX, inCanvas: true }),
      y: scaleOf(this.#plot, 'y', { isLog: logY, inCanvas: true }),
      logY,
      bbox: this.#plot.bbox,
    }
    const ctx = this.#begin(this.#all)
    for (const line of lines) drawBand(ctx, line, this.#scales)
    for (const line of lines) drawLine(ctx, line, this.#scales, false)
    ctx.restore()
    this.#drawTop()
  }

  highlight(id: number | undefined): void {
    if (this.#highlight === id) return
    this.#highlight = id
    this.#drawTop()
  }

  #drawTop(): void {
    const wanted = this.#highlight
    const line = wanted === undefined ? undefined : this.#lines.find(({ id, members }) => id === wanted || members?.includes(wanted))
    this.#all.style.opacity = line ? dimmed : ''
    const { width, height } = this.#top
    this.#top.getContext('2d')!.clearRect(0, 0, width, height)
    if (!line || !this.#scales) return
    const ctx = this.#begin(this.#top)
    drawBand(ctx, line, this.#scales)
    drawLine(ctx, line, this.#scales, true)
    ctx.restore()
  }

  #begin(canvas: HTMLCanvasElement): CanvasRenderingContext2D {
    const ctx = canvas.getContext('2d')!
    const { left, top, width, height } = this.#plot.bbox
    // Dots at the edges are round, too.
    const rim = dotRadius * devicePixelRatio
    ctx.save()
    ctx.beginPath()
    ctx.rect(left - rim, top - rim, width + 2 * rim, height + 2 * rim)
    ctx.clip()
    ctx.lineJoin = 'round'
    return ctx
  }
}

function layer(): HTMLCanvasElement {
  const canvas = document.createElement('canvas')
  canvas.className = 'line-layer'
  return canvas
}

function drawBand(ctx: CanvasRenderingContext2D, { x, color, band }: Line, scales: Scales): void {
  if (!band) return
  ctx.fillStyle = color
  ctx.globalAlpha = bandAlpha
  ctx.beginPath()
  const { low, high } = band
  // Below zero there is no place on a log axis: the band goes down to the foot of the plot.
  const foot = scales.bbox.top + scales.bbox.height
  const lowAt = (i: number): number => (isDrawn(low[i]!, scales.logY) ? scales.y(low[i]!) : foot)
  for (let begin = 0; begin < x.length; begin++) {
    if (!isDrawn(high[begin]!, scales.logY)) continue
    let end = begin
    while (end < x.length && isDrawn(high[end]!, scales.logY)) end++
    ctx.moveTo(scales.x(x[begin]!), scales.y(high[begin]!))
    for (let i = begin + 1; i < end; i++) ctx.lineTo(scales.x(x[i]!), scales.y(high[i]!))
    for (let i = end - 1; i >= begin; i--) ctx.lineTo(scales.x(x[i]!), lowAt(i))
    begin = end
  }
  ctx.fill()
}

function drawLine(ctx: CanvasRenderingContext2D, line: Line, scales: Scales, strong: boolean): void {
  const ratio = devicePixelRatio
  ctx.strokeStyle = line.color
  ctx.fillStyle = line.color
  if (line.raw) {
    ctx.globalAlpha = rawAlpha
    ctx.lineWidth = ratio
    ctx.setLineDash([])
    stroke(ctx, line.x, line.raw, scales)
  }
  ctx.globalAlpha = 1
  ctx.lineWidth = (strong ? 2.25 : 1.5) * ratio
  ctx.setLineDash(line.dash.map((n) => n * ratio))
  stroke(ctx, line.x, line.y, scales)
  ctx.setLineDash([])
  if (line.x.length * dotSpacing * ratio < scales.bbox.width) dots(ctx, line, scales, dotRadius * ratio)
}

/** One path; what is not finite (or not positive on a log axis) leaves a gap, with a small triangle at the foot of the plot. */
function stroke(ctx: CanvasRenderingContext2D, x: ArrayLike<number>, y: ArrayLike<number>, scales: Scales): void {
  const { logY, bbox } = scales
  ctx.beginPath()
  let isDown = false
  const strange: number[] = []
  for (let i = 0; i < x.length; i++) {
    const value = y[i]!
    if (!isDrawn(value, logY)) {
      isDown = false
      strange.push(scales.x(x[i]!))
      continue
    }
    if (isDown) ctx.lineTo(scales.x(x[i]!), scales.y(value))
    else ctx.moveTo(scales.x(x[i]!), scales.y(value))
    isDown = true
  }
  ctx.stroke()
  if (strange.length === 0) return
  const size = 4 * devicePixelRatio
  const foot = bbox.top + bbox.height
  ctx.beginPath()
  for (const at of strange) {
    ctx.moveTo(at, foot - 2 * size)
    ctx.lineTo(at + size, foot)
    ctx.lineTo(at - size, foot)
  }
  ctx.fill()
}

function dots(ctx: CanvasRenderingContext2D, { x, y }: Line, scales: Scales, radius: number): void {
  ctx.beginPath()
  for (let i = 0; i < x.length; i++) {
    if (!isDrawn(y[i]!, scales.logY)) continue
    ctx.moveTo(scales.x(x[i]!) + radius, scales.y(y[i]!))
    ctx.arc(scales.x(x[i]!), scales.y(y[i]!), radius, 0, 2 * Math.PI)
  }
  ctx.fill()
}
