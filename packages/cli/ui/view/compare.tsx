import { computed } from '@preact/signals'
import { formatIds } from '../../src/board/id-set.ts'
import type { RunSummary } from '../../src/board/protocol.ts'
import { fetchTable } from '../api.ts'
import { colorOf } from '../colors.ts'
import { versionOf } from '../live.ts'
import { markOf, nameOf } from '../marks.ts'
import { Choice, Filter, Toggle } from '../part/controls.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { isBoolean, isTexts, listCodec, setting } from '../setting.ts'
import { matchedRuns, visibleRuns } from '../shown-runs.ts'
import { filterTest, matching, runList, tagFilter, titleOf } from '../state.ts'
import { type Cell, formatCell, formatDuration, formatTime, formatValue } from '../words.ts'
import { summary, summaryChoices } from './summary.ts'

/** Names of the runs side by side; none chosen are the first two that are shown. */
export const compared = setting<readonly string[]>('compare', [], isTexts, { isStored: false, codec: listCodec })
const onlyDifferences = setting('differences', false, isBoolean)
/** More side by side would not be read. */
const most = 8

export const comparedRuns = computed(() => {
  const byName = new Map(runList.value.runs.map((run) => [run.name, run]))
  const chosen = compared.value.map((name) => byName.get(name)).filter((run) => run !== undefined)
  return chosen.length > 0 ? chosen.slice(0, most) : [...visibleRuns.value, ...runList.value.runs].filter(isFirst).slice(0, 2)
})

const isFirst = <T,>(item: T, index: number, list: readonly T[]): boolean => list.indexOf(item) === index

interface Row {
  title: string
  cells: readonly Cell[]
  words: (cell: Cell) => string
  /** By how much the second differs from the first, in words. */
  change?: (from: number, to: number) => string
}

/** Settings and results of a few runs side by side. */
export function Compare() {
  const runs = comparedRuns.value
  const scalars = runList.value.tags.filter(({ kind, name }) => kind === 'scalar' && matching(tagFilter.value)(name))
  const params = { tags: formatIds(scalars.map(({ id }) => id)), runs: formatIds(runs.map(({ id }) => id)) }
  const { value: table, error } = useFetched(
    (signal) => fetchTable(params, signal),
    JSON.stringify(params),
    versionOf(runs.map(({ id }) => id)),
  )
  const metrics = new Map(table?.rows.map((row) => [row.run, row.metrics]))
  const keys = [...new Set(runs.flatMap(({ hparams }) => Object.keys(hparams ?? {})))].filter(matching(tagFilter.value))
  const sections: { title: string; rows: Row[] }[] = [
    {
      title: 'Hyperparameters',
      rows: keys.map((key) => ({
        title: key,
        cells: runs.map(({ hparams }) => hparams?.[key] ?? null),
        words: formatCell,
        change: factorWords,
      })),
    },
    {
      title: 'Metrics',
      rows: scalars
        .map((tag) => ({
          title: titleOf(tag),
          cells: runs.map(({ id }) => metrics.get(id)?.[tag.id]?.[summary.value] ?? null),
          words: formatCell,
          change: differenceWords,
        }))
        .filter(({ cells }) => cells.some((cell) => cell !== null)),
    },
    { title: 'Run', rows: factsOf(runs) },
  ]
  const shown = sections
    .map(({ title, rows }) => ({ title, rows: onlyDifferences.value ? rows.filter(differs) : rows }))
    .filter(({ rows }) => rows.length > 0)
  return (
    <>
      <div class="toolbar" role="group" aria-label="What is compared">
        <Filter label="Filter rows" state={tagFilter} isValid={filterTest(tagFilter.value) !== undefined} />
        <Toggle state={onlyDifferences}>Only differences</Toggle>
        <Choice label="Value of a metric" state={summary} choices={summaryChoices} />
      </div>
      {error !== undefined && <p class="error">{error}</p>}
      <div class="scroll tall" tabIndex={0} role="region" aria-label="Runs side by side">
        <table class="data framed compare">
          <thead>
            <tr>
              <th scope="col">
                <span class="visually-hidden">What</span>
              </th>
              {runs.map((run, i) => (
                <RunHead key={run.id} run={run} place={i} runs={runs} />
              ))}
              {runs.length === 2 && <th scope="col">Change</th>}
              {runs.length < most && runs.length < runList.value.runs.length && (
                <th scope="col">
                  <RunChoice
                    label="Add a run"
                    value=""
                    without={runs}
                    onChoose={(name) => choose([...runs.map((run) => run.name), name])}
                  />
                </th>
              )}
            </tr>
          </thead>
          {shown.map(({ title, rows }) => (
            <tbody key={title}>
              <tr class="group-head">
                <th scope="rowgroup">{title}</th>
                <td colSpan={runs.length + 2} />
              </tr>
              {rows.map((row) => (
                <CompareRow key={row.title} row={row} />
              ))}
            </tbody>
          ))}
        </table>
        {shown.length === 0 && <p class="empty">Nothing differs.</p>}
      </div>
    </>
  )
}

const choose = (names: readonly string[]): void => void (compared.value = names.filter(isFirst))

function RunHead({ run, place, runs }: { run: RunSummary; place: number; runs: readonly RunSummary[] }) {
  const names = runs.map((each) => each.name)
  return (
    <th scope="col">
      <span class="compare-head">
        <i class="swatch" style={{ background: colorOf(run) }} />
        <RunChoice
          label={`Run ${place + 1}`}
          value={run.name}
          without={runs.filter((other) => other !== run)}
          onChoose={(name) => choose(names.with(place, name))}
        />
        {runs.length > 2 && (
          <button
            type="button"
            class="quiet"
            aria-label={`Leave out ${nameOf(run)}`}
            onClick={() => choose(names.filter((name) => name !== run.name))}
          >
            ×
          </button>
        )}
      </span>
    </th>
  )
}

interface RunChoiceProps {
  label: string
  value: string
  without: readonly RunSummary[]
  onChoose: (name: string) => void
}

function RunChoice({ label, value, without, onChoose }: RunChoiceProps) {
  const listed = new Set([...runList.value.runs.filter(({ name }) => name === value), ...matchedRuns.value])
  return (
    <select class="quiet" aria-label={label} value={value} onChange={(event) => onChoose(event.currentTarget.value)}>
      {value === '' && <option value="">+ Add a run</option>}
      {[...listed]
        .filter((run) => !without.includes(run))
        .map((run) => (
          <option key={run.id} value={run.name}>
            {nameOf(run)}
          </option>
        ))}
    </select>
  )
}

/** To the eye: what is shown alike is alike. */
const differs = ({ cells, words }: Row): boolean => cells.some((cell) => words(cell) !== words(cells[0]!))

function CompareRow({ row }: { row: Row }) {
  const { title, cells, words, change } = row
  const [from, to] = cells
  const isDifferent = differs(row)
  return (
    <tr class={isDifferent ? 'differs' : ''}>
      <th scope="row">
        {title}
        {isDifferent && <span class="visually-hidden"> (differs)</span>}
      </th>
      {cells.map((cell, i) => (
        <td key={i}>{words(cell)}</td>
      ))}
      {cells.length === 2 && (
        <td class="faint">{isDifferent && change && typeof from === 'number' && typeof to === 'number' ? change(from, to) : ''}</td>
      )}
      <td />
    </tr>
  )
}

const factorWords = (from: number, to: number): string =>
  from !== 0 && to !== 0 && from > 0 === to > 0 ? `× ${formatValue(Number((to / from).toPrecision(3)))}` : differenceWords(from, to)

function differenceWords(from: number, to: number): string {
  const signed = (value: number): string => `${value > 0 ? '+' : ''}${formatValue(Number(value.toPrecision(3)))}`
  return from === 0 ? signed(to - from) : `${signed(to - from)} (${signed((100 * (to - from)) / Math.abs(from))}%)`
}

function factsOf(runs: readonly RunSummary[]): Row[] {
  const row = (title: string, of: (run: RunSummary) => Cell, words = formatCell): Row => ({ title, cells: runs.map(of), words })
  const timed = (format: (seconds: number) => string) => (cell: Cell) => (cell === null ? formatCell(cell) : format(cell as number))
  const notes = row('Note', (run) => markOf(run).note || null)
  return [
    row('Folder', ({ name }) => name),
    row('Began', ({ started }) => started, timed(formatTime)),
    row('Ran', ({ started, updated }) => (started === null ? null : updated! - started), timed(formatDuration)),
    row('Points', ({ points }) => points),
    ...(notes.cells.some((cell) => cell !== null) ? [notes] : []),
  ]
}
