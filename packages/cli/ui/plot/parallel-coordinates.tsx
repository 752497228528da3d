import { useRef, useState } from 'preact/hooks'
import type { RunSummary } from '../../src/board/protocol.ts'
import { nameOf } from '../marks.ts'
import { lineColor } from '../palette.ts'
import { useWidth } from '../part/use-element.ts'
import { highlighted } from '../state.ts'
import { isDark } from '../theme.ts'
import type { Column } from '../view/hparams.tsx'
import { type Cell, formatValue } from '../words.ts'

const height = 320
const top = 46
const bottom = 26
const side = 70
/** Between two axes. */
const closest = 96

interface Axis {
  column: Column
  /** 0 at the foot, 1 at the top; undefined for what is missing. */
  place: (cell: Cell) => number | undefined
  ticks: { at: number; text: string }[]
  isLog: boolean
}

/** Each run a line across all columns. A stretch of an axis that is dragged over leaves the runs that go through it. */
export function ParallelCoordinates({ columns, runs }: { columns: readonly Column[]; runs: readonly RunSummary[] }) {
  const root = useRef<HTMLDivElement>(null)
  const room = useWidth(root)
  const [brushes, setBrushes] = useState<ReadonlyMap<string, readonly [number, number]>>(new Map())
  const [colorKey, setColorKey] = useState('')
  const axes = columns.map((column) => axisOf(column, runs))
  const byColor = axes.find(({ column }) => column.key === colorKey) ?? axes.findLast(({ column }) => column.isMetric) ?? axes.at(-1)
  // Where axes would come too close, the drawing scrolls.
  const width = Math.max(room, 2 * side + (axes.length - 1) * closest)
  const x = (i: number): number => (axes.length === 1 ? width / 2 : side + (i * (width - 2 * side)) / (axes.length - 1))
  const y = (place: number): number => height - bottom - place * (height - top - bottom)
  const passes = (run: RunSummary): boolean =>
    axes.every(({ column, place }) => {
      const brush = brushes.get(column.key)
      const at = place(column.of(run))
      return !brush || (at !== undefined && at >= brush[0] && at <= brush[1])
    })

  const paths = runs
    .map((run): RunPath => {
      const points = axes.map(({ column, place }, i) => [x(i), place(column.of(run))] as const)
      const at = byColor?.place(byColor.column.of(run))
      return {
        run,
        d: path(points.map(([px, to]) => [px, to === undefined ? undefined : y(to)])),
        isOn: passes(run),
        color: at === undefined ? undefined : lineColor(at, isDark.value),
      }
    })
    .sort((a, b) => Number(a.isOn) - Number(b.isOn))

  const setBrush = (key: string, brush: readonly [number, number] | undefined): void => {
    const next = new Map(brushes)
    if (brush) next.set(key, brush)
    else next.delete(key)
    setBrushes(next)
  }
  if (axes.length === 0) return null
  return (
    <figure class="parallel" ref={root}>
      <figcaption>
        <span role="status">
          {brushes.size > 0
            ? `${paths.filter(({ isOn }) => isOn).length} of ${runs.length} runs go through what is marked.`
            : 'Drag along an axis to keep the runs that pass there.'}
        </span>
        {brushes.size > 0 && (
          <button type="button" class="quiet" onClick={() => setBrushes(new Map())}>
            Clear
          </button>
        )}
        <label class="select">
          Colour by
          <select value={byColor!.column.key} onChange={(event) => setColorKey(event.currentTarget.value)}>
            {columns.map(({ key, title }) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </select>
        </label>
      </figcaption>
      <div>
        <svg
          width={width}
          height={height}
          role="img"
          aria-label={`Parallel coordinates of ${runs.length} runs over ${columns.map(({ title }) => title).join(', ')}. The table below has the same numbers.`}
        >
          {paths.map(({ run, d, isOn, color }) => (
            <path
              key={run.id}
              d={d}
              class={isOn ? 'on' : 'off'}
              stroke={isOn ? color : undefined}
              onMouseEnter={() => (highlighted.value = run.id)}
              onMouseLeave={() => (highlighted.value = undefined)}
            >
              <title>{nameOf(run)}</title>
            </path>
          ))}
          {axes.map((axis, i) => (
            <AxisDrawing
              key={axis.column.key}
              axis={axis}
              x={x(i)}
              y={y}
              brush={brushes.get(axis.column.key)}
              onBrush={(brush) => setBrush(axis.column.key, brush)}
            />
          ))}
        </svg>
        <Highlight paths={paths} width={width} />
      </div>
    </figure>
  )
}

interface RunPath {
  run: RunSummary
  d: string
  isOn: boolean
  color: string | undefined
}

/** The highlighted run, over the others: those are a picture that is not painted again for it. */
function Highlight({ paths, width }: { paths: readonly RunPath[]; width: number }) {
  const found = paths.find(({ run, isOn }) => isOn && run.id === highlighted.value)
  return (
    <svg class="highlight" width={width} height={height} aria-hidden="true">
      {found && <path d={found.d} class="on strong" stroke={found.color} />}
    </svg>
  )
}

interface AxisDrawingProps {
  axis: Axis
  x: number
  y: (place: number) => number
  brush: readonly [number, number] | undefined
  onBrush: (brush: readonly [number, number] | undefined) => void
}

function AxisDrawing({ axis: { column, ticks, isLog }, x, y, brush, onBrush }: AxisDrawingProps) {
  const start = useRef<number | undefined>(undefined)
  const placeAt = (event: PointerEvent & { currentTarget: SVGElement }): number => {
    const { top: edge } = event.currentTarget.ownerSVGElement!.getBoundingClientRect()
    return Math.min(1, Math.max(0, (y(0) - (event.clientY - edge)) / (y(0) - y(1))))
  }
  const end = (): void => {
    start.current = undefined
    if (brush && brush[1] - brush[0] < 0.01) onBrush(undefined)
  }
  return (
    <g transform={`translate(${x} 0)`}>
      <text class="axis-title" y={18} text-anchor="middle">
        <title>{column.title}</title>
        {column.title.length > 22 ? `${column.title.slice(0, 21)}…` : column.title}
      </text>
      {isLog && (
        <text class="tick" y={32} text-anchor="middle">
          log
        </text>
      )}
      <line y1={y(1)} y2={y(0)} class="axis" />
      {ticks.map(({ at, text }) => (
        <g key={at} transform={`translate(0 ${y(at)})`}>
          <line x1={-3} x2={3} class="axis" />
          <text class="tick" x={8} dy="0.35em">
            {text}
          </text>
        </g>
      ))}
      {brush && <rect class="brush" x={-9} width={18} y={y(brush[1])} height={Math.max(2, y(brush[0]) - y(brush[1]))} />}
      <rect
        class="grip"
        x={-16}
        width={32}
        y={y(1) - 8}
        height={y(0) - y(1) + 16}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId)
          start.current = placeAt(event)
          onBrush(undefined)
        }}
        onPointerMove={(event) => {
          if (start.current === undefined) return
          const at = placeAt(event)
          onBrush([Math.min(start.current, at), Math.max(start.current, at)])
        }}
        onPointerUp={end}
        onPointerCancel={end}
      />
    </g>
  )
}

/** Numbers get a scale, a log one where they span a factor of a hundred; anything else gets a place for each value. */
function axisOf(column: Column, runs: readonly RunSummary[]): Axis {
  const cells = [...new Set(runs.map(column.of))].filter((cell) => cell !== null)
  const numbers = cells.filter((cell) => typeof cell === 'number')
  if (numbers.length < cells.length || numbers.length === 0) {
    const names = cells.map(String).sort()
    const at = (i: number): number => (names.length === 1 ? 0.5 : i / (names.length - 1))
    const index = new Map(names.map((name, i) => [name, at(i)]))
    return {
      column,
      isLog: false,
      place: (cell) => (cell === null ? undefined : index.get(String(cell))),
      ticks: names.map((text, i) => ({ at: at(i), text })),
    }
  }
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)]
  const isLog = low > 0 && high / low >= 100
  const scale = isLog ? Math.log : (v: number) => v
  const back = isLog ? Math.exp : (v: number) => v
  const span = scale(high) - scale(low)
  const place = (cell: Cell): number | undefined =>
    typeof cell !== 'number' ? undefined : span === 0 ? 0.5 : (scale(cell) - scale(low)) / span
  const few = numbers.length <= 5
  const ticks = few
    ? numbers.map((value) => ({ at: place(value)!, text: formatValue(value) }))
    : [0, 0.25, 0.5, 0.75, 1].map((at) => ({ at, text: formatValue(Number(back(scale(low) + at * span).toPrecision(3))) }))
  return { column, isLog, place, ticks }
}

/** A smooth line through the points; a missing one interrupts it. */
function path(points: readonly (readonly [number, number | undefined])[]): string {
  let text = ''
  let before: readonly [number, number] | undefined
  for (const [x, y] of points) {
    if (y === undefined) {
      before = undefined
      continue
    }
    const at = [x, y] as const
    if (before) {
      const middle = (before[0] + x) / 2
      text += `C${middle} ${before[1]} ${middle} ${y} ${x} ${y}`
    } else {
      text += `M${x} ${y}`
    }
    before = at
  }
  return text
}
