import { useMemo, useState } from 'preact/hooks'
import { formatIds } from '../../src/board/id-set.ts'
import type { CurveList } from '../../src/board/protocol.ts'
import { fetchCurves } from '../api.ts'
import { colorOf, dashOf, lineLooks } from '../colors.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Card } from '../part/card.tsx'
import { Slider } from '../part/controls.tsx'
import { TagCards } from '../part/tag-cards.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { LineChart } from '../plot/line-chart.tsx'
import type { Line } from '../plot/line.ts'
import { type TagRuns, tagsOf } from '../shown-runs.ts'
import { cardWidth, railIsOpen, runsById, titleOf } from '../state.ts'
import { count } from '../words.ts'

/** Precision against recall, the runs over one another. */
export function Curves() {
  const tags = tagsOf('curve')
  const height = Math.round(cardWidth.value * 0.75)
  return (
    <TagCards tags={tags} what="PR curves" label="Which curves are shown">
      {(tag) => (
        <Card key={tag.tag.id} title={titleOf(tag.tag)} height={height}>
          {(wide) => <PrCurves {...tag} height={wide ? 480 : height} />}
        </Card>
      )}
    </TagCards>
  )
}

const unit = [-0.02, 1.02] as const

function PrCurves({ tag, runs, height }: TagRuns & { height: number }) {
  const ids = runs.map(({ id }) => id)
  const params = { tag: tag.id, runs: formatIds(ids) }
  const { value: list, error } = useFetched((signal) => fetchCurves(params, signal), JSON.stringify(params), versionOf(ids))
  // How far along each run is looked at: runs may write at different steps.
  const [place, setPlace] = useState(1)
  const lines = useMemo(() => linesOf(list, place), [list, place, runsById.value, lineLooks.value])
  if (error !== undefined) return <p class="error">{error}</p>
  const longest = Math.max(0, ...(list?.runs.map(({ moments }) => moments.length) ?? []))
  const steps = new Set(list?.runs.map(({ moments }) => momentAt(moments, place)?.step))
  const words = steps.size === 1 ? String([...steps][0]) : `${Math.round(place * 100)}%`
  return (
    <>
      {longest > 1 && <Slider label="Step" min={0} max={1} step={1 / (longest - 1)} value={place} onInput={setPlace} words={words} />}
      <LineChart
        label={`${titleOf(tag)}: precision over recall of ${count(lines.length, 'run')}`}
        xName="Recall"
        xKind="number"
        xLabel="Recall"
        yLabel="Precision"
        hasLegend={!railIsOpen.value}
        lines={lines}
        height={height}
        logX={false}
        logY={false}
        skipsOutliers={false}
        xRange={unit}
        yRange={unit}
      />
    </>
  )
}

const momentAt = <T,>(moments: readonly T[], place: number): T | undefined => moments[Math.round(place * (moments.length - 1))]

function linesOf(list: CurveList | undefined, place: number): Line[] {
  return (list?.runs ?? []).flatMap(({ run: id, moments }) => {
    const run = runsById.value.get(id)
    const moment = momentAt(moments, place)
    if (!run || !moment) return []
    // Recall falls as the threshold rises: turned round, x ascends.
    return [
      { id, name: nameOf(run), color: colorOf(run), dash: dashOf(run), x: moment.recall.toReversed(), y: moment.precision.toReversed() },
    ]
  })
}
