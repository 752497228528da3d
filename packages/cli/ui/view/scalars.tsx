import { useMemo, useState } from 'preact/hooks'
import { formatIds } from '../../src/board/id-set.ts'
import type { ScalarCurve } from '../../src/board/protocol.ts'
import { address, fetchScalars } from '../api.ts'
import { versionOf } from '../live.ts'
import { Card } from '../part/card.tsx'
import { Choice, Slider, Toggle } from '../part/controls.tsx'
import { TagCards } from '../part/tag-cards.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { LineChart } from '../plot/line-chart.tsx'
import type { XKind } from '../plot/line-plot.ts'
import type { Line } from '../plot/line.ts'
import {
  axis,
  cardWidth,
  chosenColors,
  colorOf,
  dashOf,
  logX,
  logY,
  method,
  railIsOpen,
  runsById,
  skipsOutliers,
  type TagRuns,
  tagsOf,
  titleOf,
  weight,
} from '../state.ts'
import { isDark } from '../theme.ts'
import { count } from '../words.ts'
import { ScalarTable } from './scalar-table.tsx'

const xKinds = { step: 'number', relative: 'duration', wall: 'time' } as const satisfies Record<string, XKind>
const xNames = { step: 'Step', relative: 'After', wall: 'At' } as const
const xLabels = { step: 'Step', relative: 'Time since the start', wall: undefined } as const

export function Scalars() {
  const tags = tagsOf('scalar')
  return (
    <TagCards tags={tags} what="scalars" label="How scalars are drawn" controls={<Drawing />}>
      {(tag) => <ScalarCard key={tag.tag.id} {...tag} />}
    </TagCards>
  )
}

/** How all of them are drawn. */
function Drawing() {
  return (
    <>
      <Choice
        label="Horizontal axis"
        state={axis}
        choices={[
          ['step', 'Step'],
          ['relative', 'Relative'],
          ['wall', 'Wall time'],
        ]}
      />
      <Slider
        label="Smoothing"
        min={0}
        max={0.999}
        step={0.001}
        value={weight.value}
        onInput={(v) => (weight.value = v)}
        words={weight.value.toFixed(2)}
      />
      <label class="select">
        <span class="visually-hidden">Kind of smoothing</span>
        <select value={method.value} onChange={(event) => (method.value = event.currentTarget.value as typeof method.value)}>
          <option value="exponential">Exponential</option>
          <option value="gaussian">Gaussian</option>
          <option value="mean">Running mean</option>
        </select>
      </label>
      <Toggle state={logX}>Log x</Toggle>
      <Toggle state={logY}>Log y</Toggle>
      <Toggle state={skipsOutliers} title="Fit the y axis to what lies between the 1st and the 99th percentile">
        Clip outliers
      </Toggle>
    </>
  )
}

function ScalarCard({ tag, runs }: TagRuns) {
  const [asTable, setAsTable] = useState(false)
  const ids = formatIds(runs.map(({ id }) => id))
  const title = titleOf(tag)
  const height = Math.round(cardWidth.value * 0.6)
  return (
    <Card
      title={title}
      note={tag.description || undefined}
      height={height}
      actions={
        <>
          <button
            type="button"
            class="quiet"
            aria-pressed={asTable}
            onClick={() => setAsTable(!asTable)}
            title="Show as a table"
            aria-label={`Show ${title} as a table`}
          >
            ☰
          </button>
          <a
            class="quiet"
            href={address('csv', { tag: tag.id, runs: ids })}
            download
            title="Download all points as CSV"
            aria-label={`Download ${title} as CSV`}
          >
            ↓
          </a>
        </>
      }
    >
      {(wide) =>
        asTable ? (
          <ScalarTable tag={tag} runs={runs} />
        ) : (
          <ScalarChart tag={tag} runs={runs} height={wide ? Math.max(420, height) : height} wide={wide} />
        )
      }
    </Card>
  )
}

function ScalarChart({ tag, runs, height, wide }: TagRuns & { height: number; wide: boolean }) {
  const [range, setRange] = useState<readonly [number, number]>()
  const ids = runs.map(({ id }) => id)
  const params = {
    tag: tag.id,
    runs: formatIds(ids),
    axis: axis.value,
    scale: logX.value ? 'log' : 'linear',
    method: method.value,
    weight: weight.value,
    columns: Math.round((wide ? 1400 : cardWidth.value * 1.3) * Math.min(2, devicePixelRatio)),
    from: range?.[0],
    to: range?.[1],
  }
  const { value: curves, error } = useFetched((signal) => fetchScalars(params, signal), JSON.stringify(params), versionOf(ids))
  const lines = useMemo(() => linesOf(curves ?? []), [curves, runsById.value, chosenColors.value, isDark.value])
  const points = curves?.reduce((sum, { total }) => sum + total, 0) ?? 0
  if (error !== undefined) return <p class="error">{error}</p>
  return (
    <LineChart
      label={`${titleOf(tag)}: ${count(lines.length, 'run')}, ${count(points, 'point')}`}
      xName={xNames[axis.value]}
      xKind={xKinds[axis.value]}
      xLabel={xLabels[axis.value]}
      // The list of runs is one, where it is to be seen.
      hasLegend={!railIsOpen.value}
      lines={lines}
      height={height}
      logX={logX.value && axis.value !== 'wall'}
      logY={logY.value}
      skipsOutliers={skipsOutliers.value}
      onZoom={setRange}
    />
  )
}

/** With more lines than this, values before smoothing would be a fog. */
const mostWithRaw = 60

function linesOf(curves: readonly ScalarCurve[]): Line[] {
  return curves.flatMap(({ run: id, x, y, smoothed }) => {
    const run = runsById.value.get(id)
    if (!run) return []
    const averaged = smoothed.length > 0
    return [
      {
        id,
        name: run.name,
        color: colorOf(run),
        dash: dashOf(run),
        x,
        y: averaged ? smoothed : y,
        raw: averaged && curves.length <= mostWithRaw ? y : undefined,
      },
    ]
  })
}
