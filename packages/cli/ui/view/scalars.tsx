import { useMemo, useRef, useState } from 'preact/hooks'
import { formatIds } from '../../src/board/id-set.ts'
import type { GroupCurve, ScalarCurve } from '../../src/board/protocol.ts'
import { address, fetchGroups, fetchScalars } from '../api.ts'
import { colorOf, colorOfGroup, dashOf, dashOfGroup, lineLooks } from '../colors.ts'
import { grouped, groupLook, type groupLooks, groups, type RunGroup } from '../groups.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Card } from '../part/card.tsx'
import { ChartDownloads } from '../part/chart-downloads.tsx'
import { Choice, Select, Slider, Toggle } from '../part/controls.tsx'
import { TagCards } from '../part/tag-cards.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { LineChart } from '../plot/line-chart.tsx'
import type { LinePlot, XKind } from '../plot/line-plot.ts'
import type { Line } from '../plot/line.ts'
import { type TagRuns, tagsOf } from '../shown-runs.ts'
import { axis, cardWidth, logX, logY, method, railIsOpen, runsById, skipsOutliers, titleOf, weight } from '../state.ts'
import { count } from '../words.ts'
import { ScalarTable } from './scalar-table.tsx'

const xKinds = { step: 'number', relative: 'duration', wall: 'time' } as const satisfies Record<string, XKind>
const xNames = { step: 'Step', relative: 'After', wall: 'At' } as const
const xLabels = { step: 'Step', relative: 'Time since the start', wall: undefined } as const

const smoothingWords = { exponential: 'Exponential', gaussian: 'Gaussian', mean: 'Running mean' } as const

const lookWords: Record<(typeof groupLooks)[number], string> = {
  range: 'Mean and range',
  deviation: 'Mean ± standard deviation',
  error: 'Mean ± standard error',
  none: 'Mean',
  runs: 'All runs',
}

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
      <Select label="Kind of smoothing" state={method} words={smoothingWords} />
      {groups.value && <Select label="How groups are drawn" state={groupLook} words={lookWords} />}
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
  const plot = useRef<LinePlot>(null)
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
          <ChartDownloads title={title} points={address('csv', { tag: tag.id, runs: ids })} plot={plot} />
        </>
      }
    >
      {(wide) =>
        asTable ? (
          <ScalarTable tag={tag} runs={runs} />
        ) : (
          <ScalarChart
            tag={tag}
            runs={runs}
            height={wide ? Math.max(420, height) : height}
            wide={wide}
            onPlot={(made) => (plot.current = made)}
          />
        )
      }
    </Card>
  )
}

type OnPlot = (plot: LinePlot | null) => void

function ScalarChart({ tag, runs, height, wide, onPlot }: TagRuns & { height: number; wide: boolean; onPlot: OnPlot }) {
  const [range, setRange] = useState<readonly [number, number]>()
  const ids = runs.map(({ id }) => id)
  const sets = groups.value && groupLook.value !== 'runs' ? grouped(runs) : undefined
  const params = {
    tag: tag.id,
    axis: axis.value,
    scale: logX.value ? 'log' : 'linear',
    method: method.value,
    weight: weight.value,
    columns: Math.round((wide ? 1400 : cardWidth.value * 1.3) * Math.min(2, devicePixelRatio)),
    from: range?.[0],
    to: range?.[1],
    ...(sets
      ? { band: groupLook.value, groups: sets.map((set) => formatIds(set.runs.map(({ id }) => id))).join(';') }
      : { runs: formatIds(ids) }),
  }
  const fetch = async (signal: AbortSignal): Promise<Curves> =>
    sets ? { sets, curves: await fetchGroups(params, signal) } : { curves: await fetchScalars(params, signal) }
  const { value: fetched, error } = useFetched(fetch, JSON.stringify(params), versionOf(ids))
  const lines = useMemo(
    () => (fetched === undefined ? [] : fetched.sets ? linesOfGroups(fetched.curves, fetched.sets) : linesOf(fetched.curves)),
    [fetched, runsById.value, lineLooks.value],
  )
  const points = (fetched?.curves as readonly { total: number }[] | undefined)?.reduce((sum, { total }) => sum + total, 0) ?? 0
  if (error !== undefined) return <p class="error">{error}</p>
  return (
    <LineChart
      label={`${titleOf(tag)}: ${count(lines.length, sets ? 'group' : 'run')}, ${count(points, 'point')}`}
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
      onPlot={onPlot}
    />
  )
}

type Curves = { sets?: undefined; curves: readonly ScalarCurve[] } | { sets: readonly RunGroup[]; curves: readonly GroupCurve[] }

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
        name: nameOf(run),
        color: colorOf(run),
        dash: dashOf(run),
        x,
        y: averaged ? smoothed : y,
        raw: averaged && curves.length <= mostWithRaw ? y : undefined,
      },
    ]
  })
}

function linesOfGroups(curves: readonly GroupCurve[], sets: readonly RunGroup[]): Line[] {
  return curves.map(({ group, x, mean, low, high, count: of }) => {
    const set = sets[group]!
    const band = { low: low.length > 0 ? low : mean, high: high.length > 0 ? high : mean, count: of }
    const members = set.runs.map(({ id }) => id)
    return { id: set.id, name: set.title, color: colorOfGroup(set), dash: dashOfGroup(set), x, y: mean, band, members }
  })
}
