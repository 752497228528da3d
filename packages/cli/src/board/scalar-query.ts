import { downsample } from './downsample.ts'
import { aggregate, bands } from './group-curve.ts'
import { axes, type Axis, type GroupCurve, type ScalarCurve, type Summary } from './protocol.ts'
import type { Query } from './query.ts'
import type { Run } from './run.ts'
import type { Series } from './series.ts'
import { smooth, type Smoothing, smoothings } from './smoothing.ts'

/** A picture has no use for more points than this in all its curves together; each still gets a few columns. */
const mostPoints = 400_000
const fewestColumns = 24

interface Look {
  axis: Axis
  window: { from: number; to: number; columns: number; logX: boolean }
  method: Smoothing
  weight: number
}

/** How a query looks at a tag of so many lines. */
function lookOf(query: Query, lines: number): Look {
  const wanted = query.number('columns', { from: 1, to: 10_000, otherwise: 600 })
  return {
    axis: query.choice('axis', axes),
    method: query.choice('method', smoothings),
    weight: query.number('weight', { from: 0, to: 0.9999, otherwise: 0 }),
    window: {
      from: query.number('from', { otherwise: -Infinity }),
      to: query.number('to', { otherwise: Infinity }),
      columns: Math.round(Math.max(Math.min(wanted, fewestColumns), Math.min(wanted, mostPoints / 4 / Math.max(1, lines)))),
      logX: query.choice('scale', ['linear', 'log']) === 'log',
    },
  }
}

/** One tag of several runs, as many points of each as a picture of `columns` pixels shows. */
export function curves(runs: readonly Run[], tag: string, query: Query): ScalarCurve[] {
  const look = lookOf(query, runs.length)
  return runs.map((run) => {
    const { x, y, smoothed } = columnsOf(run, tag, look)
    const kept = downsample(x, y, look.window)
    const pick = (column: Float64Array): Float64Array => Float64Array.from(kept, (i) => column[i]!)
    return { run: run.id, total: x.length, x: pick(x), y: pick(y), smoothed: smoothed === y ? new Float64Array() : pick(smoothed) }
  })
}

/** One tag of groups of runs, a curve a group: runs are smoothed first, and then taken together. */
export function groupCurves(groups: readonly (readonly Run[])[], tag: string, query: Query): GroupCurve[] {
  const look = lookOf(query, groups.length)
  const band = query.choice('band', bands)
  return groups.map((runs, group) => {
    const members = runs.map((run) => columnsOf(run, tag, look))
    const total = members.reduce((sum, { x }) => sum + x.length, 0)
    return {
      group,
      runs: runs.length,
      total,
      ...aggregate(
        members.map(({ x, smoothed }) => ({ x, y: smoothed })),
        { ...look.window, band },
      ),
    }
  })
}

/** All points of a run, by x. */
function columnsOf(run: Run, tag: string, { axis, method, weight }: Look): { x: Float64Array; y: Float64Array; smoothed: Float64Array } {
  const series = run.scalars.get(tag)!
  const { x, order } = ascending(axisOf(run, series, axis))
  const y = order ? order.map((i) => series.values[i]!) : series.values
  return { x, y, smoothed: smooth(y, method, weight) }
}

function axisOf(run: Run, { steps, times }: Series, axis: Axis): Float64Array {
  return axis === 'step' ? steps : axis === 'wall' ? times : times.map((time) => time - run.started)
}

/** Steps ascend, but clocks may be set back: then the order in which to take the points. */
function ascending(x: Float64Array): { x: Float64Array; order?: Float64Array } {
  let sorted = true
  for (let i = 1; sorted && i < x.length; i++) sorted = x[i - 1]! <= x[i]!
  if (sorted) return { x }
  const order = Float64Array.from(x, (_, i) => i).sort((a, b) => x[a]! - x[b]! || a - b)
  return { x: order.map((i) => x[i]!), order }
}

export function summarise({ steps, values, length }: Series): Summary {
  let min = Infinity
  let max = -Infinity
  for (const value of values) {
    if (!Number.isFinite(value)) continue
    if (value < min) min = value
    if (value > max) max = value
  }
  const last = values[length - 1]!
  const known = min <= max
  return { last: Number.isFinite(last) ? last : null, min: known ? min : null, max: known ? max : null, step: steps[length - 1]! }
}

/** All points of a tag, one a line. */
export function csvOf(runs: readonly Run[], tag: string): string {
  const lines = ['run,step,time,value']
  for (const run of runs) {
    const name = /[",\n\r]/.test(run.name) ? `"${run.name.replaceAll('"', '""')}"` : run.name
    const { steps, times, values, length } = run.scalars.get(tag)!
    for (let i = 0; i < length; i++) lines.push(`${name},${steps[i]},${times[i]},${values[i]}`)
  }
  return `${lines.join('\n')}\n`
}
