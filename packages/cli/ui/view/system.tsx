import { useEffect, useMemo, useState } from 'preact/hooks'
import type { SystemSample } from '../../src/board/protocol.ts'
import { fetchSystem } from '../api.ts'
import { latestSample } from '../live.ts'
import { paletteColor } from '../palette.ts'
import { Card } from '../part/card.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { LineChart } from '../plot/line-chart.tsx'
import type { Line } from '../plot/line.ts'
import { cardWidth } from '../state.ts'
import { isDark } from '../theme.ts'
import { formatBytes } from '../words.ts'

/** Samples that the page keeps: half an hour. */
const most = 900

/** Processor and memory of the machine that the board runs on. */
export function System() {
  const { value: reply, error } = useFetched((signal) => fetchSystem({}, signal), 'system', 0)
  const [fresh, setFresh] = useState<SystemSample[]>([])
  useEffect(() => latestSample.subscribe((sample) => sample && setFresh((before) => [...before, sample].slice(-most))), [])
  const samples = useMemo(() => {
    const known = reply?.samples ?? []
    const last = known.at(-1)?.time ?? -Infinity
    return [...known, ...fresh.filter(({ time }) => time > last)].slice(-most)
  }, [reply, fresh])
  if (error !== undefined) return <p class="error">{error}</p>
  if (!reply) return null
  const { machine } = reply
  const latest = samples.at(-1)
  const height = Math.round(cardWidth.value * 0.55)
  return (
    <>
      <dl class="facts">
        <Fact name="Machine" value={machine.host} />
        <Fact name="Processor" value={`${machine.model}, ${machine.cores} cores`} />
        <Fact name="Memory" value={formatBytes(machine.memory)} />
        <Fact name="System" value={machine.platform} />
      </dl>
      <div class="grid" style={{ '--card': `${cardWidth.value}px` }}>
        <Card title="Processor" note={latest ? `${Math.round(latest.cpu * 100)}% busy` : 'measuring…'} height={height}>
          {() => (
            <Course
              label="Processor, percent busy"
              unit="% busy"
              samples={samples}
              series={[['all cores', ({ cpu }) => cpu * 100]]}
              height={height}
              to={100}
            />
          )}
        </Card>
        <Card
          title="Memory"
          note={latest ? `${formatBytes(latest.memory)} of ${formatBytes(machine.memory)}` : 'measuring…'}
          height={height}
        >
          {() => (
            <Course
              label="Memory in use, gigabytes"
              unit="GB in use"
              samples={samples}
              series={[['GB in use', ({ memory }) => memory / 1e9]]}
              height={height}
              to={machine.memory / 1e9}
            />
          )}
        </Card>
        <Card title="Cores" height={height}>
          {() => (
            <Course
              label="Each core, percent busy"
              unit="% busy"
              samples={samples}
              series={Array.from(
                { length: machine.cores },
                (_, i) => [`core ${i}`, ({ cores }: SystemSample) => (cores[i] ?? 0) * 100] as const,
              )}
              height={height}
              to={100}
            />
          )}
        </Card>
        <Card title="Load" note="average of a minute" height={height}>
          {() => (
            <Course
              label="Load"
              unit="Processes"
              samples={samples}
              series={[['load', ({ load }) => load]]}
              height={height}
              to={Math.max(machine.cores, ...samples.map(({ load }) => load))}
            />
          )}
        </Card>
      </div>
    </>
  )
}

const Fact = ({ name, value }: { name: string; value: string }) => (
  <div>
    <dt>{name}</dt>
    <dd>{value}</dd>
  </div>
)

interface CourseProps {
  label: string
  samples: readonly SystemSample[]
  unit: string
  series: readonly (readonly [name: string, of: (sample: SystemSample) => number])[]
  height: number
  /** Upper end of the axis. */
  to: number
}

function Course({ label, unit, samples, series, height, to }: CourseProps) {
  const lines = useMemo(
    () =>
      series.map(([name, of], i): Line => ({
        id: -1 - i,
        name,
        color: paletteColor(i, isDark.value),
        dash: [],
        x: samples.map(({ time }) => time),
        y: samples.map(of),
      })),
    [samples, isDark.value],
  )
  const range = useMemo(() => [0, to * 1.02] as const, [to])
  return (
    <LineChart
      label={label}
      xName="At"
      xKind="time"
      yLabel={unit}
      hasLegend={series.length > 1}
      lines={lines}
      height={height}
      logX={false}
      logY={false}
      skipsOutliers={false}
      yRange={range}
    />
  )
}
