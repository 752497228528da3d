import { useRef, useState } from 'preact/hooks'
import type { HistogramSeries, RunSummary, Tag } from '../../src/board/protocol.ts'
import { fetchHistograms } from '../api.ts'
import { colorOf } from '../colors.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Choice } from '../part/controls.tsx'
import { RunCards } from '../part/run-cards.tsx'
import { useWidth } from '../part/use-element.ts'
import { useFetched } from '../part/use-fetched.ts'
import { drawHeatmap, drawRidges, type HistogramLayout, layOut } from '../plot/histogram-plot.ts'
import { useCanvas } from '../plot/use-canvas.ts'
import { oneOf, setting } from '../setting.ts'
import { cardWidth, titleOf } from '../state.ts'
import { count, formatValue } from '../words.ts'

const styles = ['ridges', 'heatmap'] as const
const style = setting<(typeof styles)[number]>('histograms', 'ridges', oneOf(styles))

export function Histograms() {
  const height = Math.round(cardWidth.value * 0.66)
  return (
    <RunCards
      kinds={['histogram']}
      what="histograms"
      height={() => height}
      controls={
        <Choice
          label="How histograms are drawn"
          state={style}
          choices={[
            ['ridges', 'Ridges'],
            ['heatmap', 'Heatmap'],
          ]}
        />
      }
    >
      {(tag, run, wide) => <HistogramChart tag={tag} run={run} height={wide ? Math.max(460, height) : height} />}
    </RunCards>
  )
}

function HistogramChart({ tag, run, height }: { tag: Tag; run: RunSummary; height: number }) {
  const { value: series, error } = useFetched(
    (signal) => fetchHistograms({ tag: tag.id, run: run.id, buckets: 80 }, signal),
    `${tag.id} ${run.id}`,
    versionOf([run.id]),
  )
  if (error !== undefined) return <p class="error">{error}</p>
  return series ? (
    <HistogramCanvas series={series} color={colorOf(run)} height={height} label={`${titleOf(tag)} of ${nameOf(run)}`} />
  ) : null
}

interface CanvasProps {
  series: HistogramSeries
  color: string
  height: number
  label: string
}

function HistogramCanvas({ series, color, height, label }: CanvasProps) {
  const root = useRef<HTMLDivElement>(null)
  const canvas = useRef<HTMLCanvasElement>(null)
  const width = useWidth(root)
  const [at, setAt] = useState<{ row: number; bucket: number }>()
  const layout = layOut(series, { width, height, style: style.value })
  useCanvas(canvas, { width, height }, (ctx) => (style.value === 'ridges' ? drawRidges : drawHeatmap)(ctx, series, layout, color, at), [
    series,
    color,
    style.value,
    at?.row,
    at?.bucket,
  ])

  const move = (row: number, bucket: number): void =>
    setAt({ row: Math.min(layout.rows.length - 1, Math.max(0, row)), bucket: Math.min(series.edges.length - 2, Math.max(0, bucket)) })
  const steps: Record<string, [number, number]> = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }
  return (
    <div
      ref={root}
      class="chart"
      role="img"
      tabIndex={0}
      aria-roledescription="chart"
      aria-label={`${label}: ${count(series.steps.length, 'histogram')} from step ${series.steps[0]} to ${series.steps.at(-1)}, values from ${formatValue(series.edges[0]!)} to ${formatValue(series.edges.at(-1)!)}. Arrow keys move over it.`}
      data-rows={layout.rows.length}
      style={{ height: `${height}px` }}
      onKeyDown={(event) => {
        const step = steps[event.key]
        if (!step) return
        event.preventDefault()
        move((at?.row ?? layout.rows.length - 1) + step[0], (at?.bucket ?? 0) + step[1])
      }}
      onBlur={() => setAt(undefined)}
      onMouseMove={(event) => {
        const box = event.currentTarget.getBoundingClientRect()
        const found = layout.hit(event.clientX - box.left, event.clientY - box.top)
        if (found) move(found.row, found.bucket)
        else setAt(undefined)
      }}
      onMouseLeave={() => setAt(undefined)}
    >
      <canvas ref={canvas} aria-hidden="true" />
      {at && layout.rows[at.row] !== undefined && <HistogramTip series={series} layout={layout} at={at} />}
    </div>
  )
}

function HistogramTip({ series, layout, at }: { series: HistogramSeries; layout: HistogramLayout; at: { row: number; bucket: number } }) {
  const row = layout.rows[at.row]!
  const left = layout.x(at.bucket)
  return (
    <div class="tooltip" role="status" style={{ top: '2px', ...(left > layout.width / 2 ? { left: '8px' } : { right: '52px' }) }}>
      <div class="tooltip-head">Step {formatValue(series.steps[row]!)}</div>
      {formatValue(Math.round(series.counts[row]![at.bucket]! * 10) / 10)} values from {formatValue(series.edges[at.bucket]!)} to{' '}
      {formatValue(series.edges[at.bucket + 1]!)}
    </div>
  )
}
