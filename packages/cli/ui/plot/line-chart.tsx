import 'uplot/dist/uPlot.min.css'
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks'
import { useWidth } from '../part/use-element.ts'
import { highlighted } from '../state.ts'
import { isDark } from '../theme.ts'
import { formatDuration, formatTime, formatValue } from '../words.ts'
import { type Hover, LinePlot, type LinePlotOptions, type XKind } from './line-plot.ts'
import type { Band, Line } from './line.ts'

interface LineChartProps extends LinePlotOptions {
  /** Says what the chart shows, for those who do not see it. */
  label: string
  xName: string
  lines: readonly Line[]
  height: number
  /** Names the lines above the chart, if they are a few. */
  hasLegend?: boolean
  onZoom?: (range: readonly [number, number] | undefined) => void
  /** Hands out the plot while there is one. */
  onPlot?: (plot: LinePlot | null) => void
}

/** The drawn lines hang on the chart's element, for tests and for the console. */
interface ChartElement extends HTMLDivElement {
  lines?: readonly Line[]
}

/** Lines that a legend names. */
const mostNamed = 12
/** Rows of the tooltip. */
const most = 10

export function LineChart({ label, xName, lines, height, hasLegend = false, onZoom, onPlot, ...options }: LineChartProps) {
  const { xKind, xLabel, yLabel, logX, logY, skipsOutliers, xRange, yRange } = options
  const root = useRef<ChartElement>(null)
  const plot = useRef<LinePlot>(null)
  const width = useWidth(root)
  const [hover, setHover] = useState<Hover>()
  const [isZoomed, setZoomed] = useState(false)
  const zoomed = useRef(onZoom)
  zoomed.current = onZoom

  const known = width > 0
  useEffect(() => {
    if (!known) return undefined
    const made = new LinePlot(root.current!, { width, height }, options, {
      hover: setHover,
      zoom: (range) => {
        setZoomed(made.isZoomed)
        zoomed.current?.(range)
      },
    })
    plot.current = made
    onPlot?.(made)
    return () => {
      made.destroy()
      // The cursor is gone with the chart.
      highlighted.value = undefined
      plot.current = null
      onPlot?.(null)
      setZoomed(false)
      zoomed.current?.(undefined)
    }
  }, [known, xKind, xLabel, yLabel, logX, logY, skipsOutliers, xRange?.join(), yRange?.join()])
  useEffect(() => plot.current?.resize(width, height), [width, height])
  useEffect(() => {
    root.current!.lines = lines
    plot.current?.show(lines, highlighted.peek())
  }, [lines, known, xKind, xLabel, yLabel, logX, logY, skipsOutliers, isDark.value])
  useEffect(() => highlighted.subscribe((id) => plot.current?.highlight(id)), [])
  // The line under the cursor is the highlighted one everywhere.
  const near = hover?.points[0]
  const nearId = near && near.distance < 24 ? near.line.id : undefined
  useEffect(() => {
    if (hover) highlighted.value = nearId
    else if (lines.some(({ id }) => id === highlighted.peek())) highlighted.value = undefined
  }, [nearId, hover === undefined])

  const keys: Record<string, () => void> = {
    ArrowRight: () => plot.current?.moveCursor(1),
    ArrowLeft: () => plot.current?.moveCursor(-1),
    '+': () => plot.current?.zoomBy(0.5),
    '=': () => plot.current?.zoomBy(0.5),
    '-': () => plot.current?.zoomBy(2),
    Escape: () => plot.current?.resetZoom(),
    '0': () => plot.current?.resetZoom(),
  }
  const chart = (
    <div
      class="chart"
      ref={root}
      role="img"
      aria-roledescription="chart"
      aria-label={`${label}. Arrow keys move the cursor, plus and minus zoom, Escape shows all.`}
      tabIndex={0}
      data-lines={lines.length}
      style={{ height: `${height}px` }}
      onKeyDown={(event) => {
        const action = event.ctrlKey || event.metaKey || event.altKey ? undefined : keys[event.key]
        if (!action) return
        event.preventDefault()
        action()
      }}
      onBlur={() => plot.current?.hideCursor()}
    >
      {isZoomed && (
        <button type="button" class="zoom-out" onClick={() => plot.current?.resetZoom()} title="Show all (double-click)">
          Reset zoom
        </button>
      )}
      {hover?.points
        .slice(0, most)
        .map(
          ({ line, at }) =>
            at && <i key={line.id} class="dot" style={{ left: `${at.left}px`, top: `${at.top}px`, background: line.color }} />,
        )}
      {hover && <Tooltip hover={hover} width={width} xName={xName} xKind={xKind} />}
    </div>
  )
  return (
    <>
      {hasLegend && lines.length <= mostNamed && <Legend lines={lines} />}
      {chart}
    </>
  )
}

function Legend({ lines }: { lines: readonly Line[] }) {
  return (
    <ul class="legend" aria-label="Lines" onMouseLeave={() => (highlighted.value = undefined)}>
      {lines.map(({ id, name, color }) => (
        <li key={id} title={name} onMouseEnter={() => (highlighted.value = id)}>
          <i class="swatch" style={{ background: color }} />
          {name}
        </li>
      ))}
    </ul>
  )
}

const xWords: Record<XKind, (x: number) => string> = { number: formatValue, duration: formatDuration, time: formatTime }

const tooltipGap = 14

/** Puts a tooltip to that side of the cursor where it covers less of the chart, unless it would leave the page there. */
function placeBeside(box: HTMLElement, cursor: number, width: number): void {
  const page = box.closest('.view')!
  const { left: chartLeft } = box.parentElement!.getBoundingClientRect()
  const pageLeft = page.getBoundingClientRect().left - chartLeft
  const [from, to] = [pageLeft + 4, pageLeft + page.clientWidth - box.offsetWidth - 4]
  const [before, behind] = [cursor - tooltipGap - box.offsetWidth, cursor + tooltipGap]
  const fitting = (cursor > width / 2 ? [before, behind] : [behind, before]).find((left) => left >= from && left <= to)
  box.style.left = `${fitting ?? Math.max(from, Math.min(to, behind))}px`
}

function bandWords({ low, high }: Band, index: number): string {
  return low[index] === high[index] ? '' : `${formatValue(low[index]!)} … ${formatValue(high[index]!)}`
}

function Tooltip({ hover, width, xName, xKind }: { hover: Hover; width: number; xName: string; xKind: XKind }) {
  const box = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => placeBeside(box.current!, hover.left, width), [hover, width])
  // The nearest, in the order in which they lie over one another.
  const shown = hover.points.slice(0, most).sort((a, b) => b.value - a.value)
  const rest = hover.points.length - shown.length
  const heads = shown.some(({ line }) => line.band)
    ? ['Group', 'Mean', 'Between', 'Runs']
    : shown.some(({ raw }) => raw !== undefined)
      ? ['Run', 'Smoothed', 'Value']
      : undefined
  return (
    <div class="tooltip" role="status" ref={box} style={{ top: '4px' }}>
      <div class="tooltip-head">
        {xName} {xWords[xKind](shown[0] ? hover.points[0]!.x : hover.x)}
      </div>
      <table>
        {heads && (
          <thead>
            <tr>
              {heads.map((head) => (
                <th key={head} scope="col">
                  {head}
                </th>
              ))}
            </tr>
          </thead>
        )}
        <tbody>
          {shown.map(({ line, index, value, raw }) => (
            <tr key={line.id} class={line.id === hover.points[0]!.line.id ? 'nearest' : ''}>
              <th scope="row">
                <i class="swatch" style={{ background: line.color }} />
                {line.name}
              </th>
              <td>{formatValue(value)}</td>
              {line.band ? (
                <>
                  <td class="faint">{bandWords(line.band, index)}</td>
                  <td class="faint">{formatValue(line.band.count[index]!)}</td>
                </>
              ) : (
                heads && <td class="faint">{formatValue(raw ?? value)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
      {rest > 0 && <div class="faint">and {rest.toLocaleString('en')} more</div>}
    </div>
  )
}
