import { computed, useComputed } from '@preact/signals'
import { formatIds } from '../../src/board/id-set.ts'
import type { RunSummary } from '../../src/board/protocol.ts'
import { fetchTable } from '../api.ts'
import { colorOf } from '../colors.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Choice } from '../part/controls.tsx'
import { Empty } from '../part/empty.tsx'
import { Menu } from '../part/menu.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { ParallelCoordinates } from '../plot/parallel-coordinates.tsx'
import { isText, listCodec, setting } from '../setting.ts'
import { visibleRuns } from '../shown-runs.ts'
import { highlighted, runList, titleOf } from '../state.ts'
import { type Cell, formatCell } from '../words.ts'
import { summary, summaryChoices } from './summary.ts'

/** A column of the table and an axis of the drawing. */
export interface Column {
  key: string
  title: string
  isMetric: boolean
  of: (run: RunSummary) => Cell
}

/** Columns that the user switched on or off, by key; of the rest, what varies and the first metrics are shown. */
const switched = setting<ReadonlyMap<string, boolean>>('columns', new Map(), (value) => value instanceof Map, {
  isStored: false,
  codec: {
    encode: (columns) => listCodec.encode([...columns].map(([key, on]) => (on ? key : `-${key}`))),
    decode: (text) => new Map((listCodec.decode(text) as string[]).map((part) => [part.replace(/^-/, ''), !part.startsWith('-')])),
  },
})
/** The column that rows are sorted by, by key, with a minus where it falls. */
const order = setting('sort', '', isText, { isStored: false })

/** Metrics that are shown before anyone has chosen. */
const fewMetrics = 4

const runsWithHparams = computed(() => visibleRuns.value.filter(({ hparams }) => hparams !== null))

export function HparamsView() {
  const runs = runsWithHparams.value
  const scalars = runList.value.tags.filter(({ kind }) => kind === 'scalar')
  const tags = formatIds(scalars.map(({ id }) => id))
  const { value: table, error } = useFetched((signal) => fetchTable({ tags }, signal), tags, versionOf(runs.map(({ id }) => id)))
  if (error !== undefined) return <p class="error">{error}</p>
  if (runs.length === 0) return <Empty what="hyperparameters" />

  const metrics = new Map(table?.rows.map((row) => [row.run, row.metrics]))
  const names = [...new Set(runs.flatMap(({ hparams }) => Object.keys(hparams!)))]
  const usedTags = new Set(runs.flatMap((run) => run.tags))
  const columns: Column[] = [
    ...names.map((name) => ({ key: `h:${name}`, title: name, isMetric: false, of: ({ hparams }: RunSummary) => hparams![name] ?? null })),
    ...scalars
      .filter(({ id }) => usedTags.has(id))
      .map((tag) => ({
        key: `m:${tag.name}`,
        title: titleOf(tag),
        isMetric: true,
        of: ({ id }: RunSummary) => metrics.get(id)?.[tag.id]?.[summary.value] ?? null,
      })),
  ]
  const firstMetrics = new Set(columns.filter(({ isMetric }) => isMetric).slice(0, fewMetrics))
  // What is the same in all runs tells nothing.
  const varies = ({ of }: Column): boolean => runs.length === 1 || runs.some((run) => of(run) !== of(runs[0]!))
  const isOn = (column: Column): boolean => switched.value.get(column.key) ?? (column.isMetric ? firstMetrics.has(column) : varies(column))
  const shown = columns.filter(isOn)
  return (
    <>
      <div class="toolbar" role="group" aria-label="What is shown of runs">
        <Menu
          summary={
            <>
              Columns <span class="badge">{`${shown.length} of ${columns.length}`}</span>
            </>
          }
        >
          {() => (
            <div class="menu-list">
              {columns.map((column) => (
                <label key={column.key} class="toggle">
                  <input
                    type="checkbox"
                    checked={isOn(column)}
                    onChange={() => (switched.value = new Map(switched.value).set(column.key, !isOn(column)))}
                  />
                  {column.title} <span class="faint">{column.isMetric ? 'metric' : 'hyperparameter'}</span>
                </label>
              ))}
            </div>
          )}
        </Menu>
        <Choice label="Value of a metric" state={summary} choices={summaryChoices} />
      </div>
      <ParallelCoordinates columns={shown} runs={runs} />
      <HparamsTable columns={shown} runs={runs} />
    </>
  )
}

function HparamsTable({ columns, runs }: { columns: readonly Column[]; runs: readonly RunSummary[] }) {
  const falls = order.value.startsWith('-')
  const by = columns.find(({ key }) => key === (falls ? order.value.slice(1) : order.value))
  const sorted = by ? [...runs].sort((a, b) => compareCells(by.of(a), by.of(b), falls)) : runs
  return (
    <div class="scroll tall" tabIndex={0} role="region" aria-label="Hyperparameters and metrics by run">
      <table class="data framed">
        <thead>
          <tr>
            <th scope="col">Run</th>
            {columns.map((column) => (
              <th key={column.key} scope="col" aria-sort={column !== by ? 'none' : falls ? 'descending' : 'ascending'}>
                <button
                  type="button"
                  class="sort"
                  onClick={() => (order.value = ((column === by ? !falls : column.isMetric) ? '-' : '') + column.key)}
                >
                  {column.title}
                  <span aria-hidden="true">{column !== by ? '' : falls ? ' ↓' : ' ↑'}</span>
                </button>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((run) => (
            <HparamsRow key={run.id} run={run} columns={columns} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

/** The highlight is its own affair: a thousand rows are not made again for it. */
function HparamsRow({ run, columns }: { run: RunSummary; columns: readonly Column[] }) {
  const isHighlighted = useComputed(() => highlighted.value === run.id)
  return (
    <tr
      class={isHighlighted.value ? 'highlighted' : ''}
      onMouseEnter={() => (highlighted.value = run.id)}
      onMouseLeave={() => (highlighted.value = undefined)}
    >
      <th scope="row">
        <i class="swatch" style={{ background: colorOf(run) }} />
        {nameOf(run)}
      </th>
      {columns.map((column) => (
        <td key={column.key}>{formatCell(column.of(run))}</td>
      ))}
    </tr>
  )
}

const collator = new Intl.Collator('en', { numeric: true })

/** Numbers before words, and what is missing last in either direction. */
function compareCells(a: Cell, b: Cell, falls: boolean): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  const [isA, isB] = [typeof a === 'number', typeof b === 'number']
  if (isA !== isB) return isA ? -1 : 1
  const sign = falls ? -1 : 1
  return sign * (isA ? (a as number) - (b as number) : collator.compare(String(a), String(b)))
}
