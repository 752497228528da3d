import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { inkOn, paletteColor, paletteSize } from '../palette.ts'
import { useWidth } from '../part/use-element.ts'
import { isDark, styleOf } from '../theme.ts'
import { formatValue } from '../words.ts'
import type { Flame, FlameChart as Chart } from './flame.ts'
import { useCanvas } from './use-canvas.ts'

const rowHeight = 19
const laneHead = 20
const ruler = 20

interface Row {
  y: number
  flames: Flame[]
}

/** Slices of time over one another, lane by lane. The wheel zooms, dragging moves. */
export function FlameChart({ chart, search }: { chart: Chart; search: string }) {
  const root = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const width = useWidth(root)
  const [range, setRange] = useState<readonly [number, number]>([chart.start, chart.end])
  const [tip, setTip] = useState<{ flame: Flame; x: number; y: number }>()
  const drag = useRef<{ x: number; range: readonly [number, number] } | undefined>(undefined)
  useEffect(() => setRange([chart.start, chart.end]), [chart])

  const { rows, heads, height } = useMemo(() => stack(chart), [chart])
  const [from, to] = range
  const x = (ms: number): number => ((ms - from) / (to - from)) * width
  useCanvas(canvas, { width, height }, (ctx) => draw(ctx, { rows, heads, range, width, height, search, hovered: tip?.flame }), [
    chart,
    range,
    search,
    tip?.flame,
  ])

  /** Keeps the range within the chart, and not narrower than a nanosecond. */
  const show = (low: number, high: number): void => {
    const span = Math.min(chart.end - chart.start, Math.max(1e-6, high - low))
    const begin = Math.min(Math.max(low, chart.start), chart.end - span)
    setRange([begin, begin + span])
  }
  const zoom = (factor: number, at: number): void => show(at - (at - from) * factor, at + (to - at) * factor)
  const find = (px: number, py: number): Flame | undefined => {
    const row = rows.find(({ y }) => py >= y && py < y + rowHeight)
    const at = from + (px / width) * (to - from)
    return row?.flames.find(({ start, ms }) => at >= start && at <= start + Math.max(ms, (to - from) / width))
  }
  // A wheel listener has to be active to keep the page from scrolling.
  const wheel = useRef<(event: WheelEvent) => void>(() => undefined)
  wheel.current = (event) => {
    if (!event.ctrlKey && !event.metaKey && Math.abs(event.deltaX) < Math.abs(event.deltaY) && event.shiftKey) return
    event.preventDefault()
    const { left } = root.current!.getBoundingClientRect()
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY))
      show(from + (event.deltaX / width) * (to - from), to + (event.deltaX / width) * (to - from))
    else zoom(Math.exp(event.deltaY / 300), from + ((event.clientX - left) / width) * (to - from))
  }
  useEffect(() => {
    const listener = (event: WheelEvent): void => wheel.current(event)
    const { current: element } = root
    element!.addEventListener('wheel', listener, { passive: false })
    return () => element!.removeEventListener('wheel', listener)
  }, [])

  const middle = (from + to) / 2
  const shift = (to - from) / 5
  const keys: Record<string, () => void> = {
    ArrowLeft: () => show(from - shift, to - shift),
    ArrowRight: () => show(from + shift, to + shift),
    '+': () => zoom(0.6, middle),
    '=': () => zoom(0.6, middle),
    '-': () => zoom(1 / 0.6, middle),
    Escape: () => show(chart.start, chart.end),
    '0': () => show(chart.start, chart.end),
  }
  return (
    <div
      ref={root}
      class="chart flame"
      role="img"
      tabIndex={0}
      aria-roledescription="flame chart"
      aria-label={`Flame chart of ${formatValue(chart.end - chart.start)} milliseconds in ${chart.lanes.length} lanes. Arrow keys move, plus and minus zoom, Escape shows all. The table has the totals.`}
      data-slices={chart.lanes.reduce((sum, { flames }) => sum + flames.length, 0)}
      style={{ height: `${height}px` }}
      onKeyDown={(event) => {
        const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
        if (!action) return
        event.preventDefault()
        action()
      }}
      onPointerDown={(event) => (drag.current = { x: event.clientX, range })}
      onPointerUp={() => (drag.current = undefined)}
      onDblClick={() => show(chart.start, chart.end)}
      onPointerMove={(event) => {
        if (drag.current && event.buttons) {
          const moved = ((drag.current.x - event.clientX) / width) * (to - from)
          show(drag.current.range[0] + moved, drag.current.range[1] + moved)
          return
        }
        const box = event.currentTarget.getBoundingClientRect()
        const [px, py] = [event.clientX - box.left, event.clientY - box.top]
        const flame = find(px, py)
        setTip(flame && { flame, x: px, y: py })
      }}
      onPointerLeave={() => setTip(undefined)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {tip && (
        <div
          class="tooltip"
          role="status"
          style={{ top: `${tip.y + 16}px`, ...(tip.x > width / 2 ? { right: `${width - tip.x}px` } : { left: `${tip.x}px` }) }}
        >
          <strong>{tip.flame.name}</strong> {tip.flame.kind && <span class="faint">{tip.flame.kind}</span>}
          <div>
            {milliseconds(tip.flame.ms)}, {milliseconds(tip.flame.self)} of it self
          </div>
          <div class="faint">begins at {milliseconds(x(tip.flame.start) === 0 ? 0 : tip.flame.start - chart.start)}</div>
        </div>
      )}
    </div>
  )
}

export const milliseconds = (ms: number): string =>
  ms >= 1000
    ? `${Number((ms / 1000).toPrecision(4))} s`
    : ms >= 1 || ms === 0
      ? `${Number(ms.toPrecision(4))} ms`
      : `${Number((ms * 1000).toPrecision(4))} µs`

function stack({ lanes }: Chart): { rows: Row[]; heads: { y: number; name: string }[]; height: number } {
  const rows: Row[] = []
  const heads: { y: number; name: string }[] = []
  let y = ruler
  for (const { name, flames, depth } of lanes) {
    heads.push({ y, name })
    y += laneHead
    const byDepth = Array.from({ length: depth }, (_, i) => ({ y: y + i * rowHeight, flames: [] as Flame[] }))
    for (const flame of flames) byDepth[flame.depth]!.flames.push(flame)
    rows.push(...byDepth)
    y += depth * rowHeight + 6
  }
  return { rows, heads, height: Math.max(80, y) }
}

interface Drawing {
  rows: readonly Row[]
  heads: readonly { y: number; name: string }[]
  range: readonly [number, number]
  width: number
  height: number
  search: string
  hovered: Flame | undefined
}

function draw(ctx: CanvasRenderingContext2D, { rows, heads, range: [from, to], width, height, search, hovered }: Drawing): void {
  const scale = width / (to - from)
  ctx.font = `11px ${styleOf('--font')}`
  ctx.textBaseline = 'middle'
  drawRuler(ctx, from, to, width, height)
  ctx.fillStyle = styleOf('--text-soft')
  for (const { y, name } of heads) ctx.fillText(name, 4, y + laneHead / 2)
  const wanted = search.toLowerCase()
  for (const { y, flames } of rows) {
    // Slices narrower than half a pixel beside one that is drawn would hide under it: they are left out.
    let covered = -Infinity
    for (const flame of flames) {
      const x = (flame.start - from) * scale
      const right = x + flame.ms * scale
      if (right < 0 || x > width || right < covered + 0.5) continue
      const w = Math.max(1, right - x - 0.5)
      covered = x + w
      ctx.globalAlpha = wanted !== '' && !flame.name.toLowerCase().includes(wanted) ? 0.15 : 1
      ctx.fillStyle = colorOf(flame.name)
      ctx.fillRect(x, y, w, rowHeight - 1)
      if (flame === hovered) {
        ctx.strokeStyle = styleOf('--text')
        ctx.strokeRect(x + 0.5, y + 0.5, w - 1, rowHeight - 2)
      }
      const left = Math.max(0, x)
      if (right - left > 28) {
        ctx.fillStyle = inkOn(colorOf(flame.name))
        const room = Math.floor((right - left - 8) / 6.8)
        ctx.fillText(flame.name.length > room ? `${flame.name.slice(0, Math.max(1, room - 1))}…` : flame.name, left + 4, y + rowHeight / 2)
      }
      ctx.globalAlpha = 1
    }
  }
}

function drawRuler(ctx: CanvasRenderingContext2D, from: number, to: number, width: number, height: number): void {
  const rough = ((to - from) * 90) / width
  const power = 10 ** Math.floor(Math.log10(rough))
  const step = [1, 2, 5, 10].map((n) => n * power).find((n) => n >= rough)!
  ctx.fillStyle = styleOf('--text-faint')
  ctx.strokeStyle = styleOf('--grid')
  for (let at = Math.ceil(from / step) * step; at <= to; at += step) {
    const x = Math.round(((at - from) / (to - from)) * width) + 0.5
    ctx.beginPath()
    ctx.moveTo(x, ruler - 4)
    ctx.lineTo(x, height)
    ctx.stroke()
    ctx.fillText(milliseconds(Number(at.toPrecision(9))), x + 3, 9)
  }
}

/** Same name, same colour, whatever the trace. */
function colorOf(name: string): string {
  let hash = 0
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0
  return paletteColor(Math.abs(hash) % paletteSize, isDark.peek())
}
