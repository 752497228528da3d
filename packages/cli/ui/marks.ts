import { computed } from '@preact/signals'
import type { RunMark, RunSummary } from '../src/board/protocol.ts'
import { isRecord, setting } from './setting.ts'
import { runList } from './state.ts'

type Marks = Readonly<Record<string, RunMark>>

/** What the user said of runs, by folder of the board and name of run. The board changes no file, so the browser keeps it. */
const own = setting<Readonly<Record<string, Marks>>>('marks', {}, isRecord, { isLinked: false })

/** What is said of runs, by name: by the user, else by the folder's board.json. */
export const marks = computed<Marks>(() => {
  const { folder, marks: given } = runList.value
  const merged: Record<string, RunMark> = { ...given }
  for (const [run, mark] of Object.entries(own.value[folder] ?? {})) merged[run] = { ...given[run], ...mark }
  return merged
})

const nothing: RunMark = {}

export const markOf = ({ name }: RunSummary): RunMark => marks.value[name] ?? nothing

/** What a run is called. */
export const nameOf = (run: RunSummary): string => markOf(run).name || run.name

/** Says something of a run. */
export function mark({ name }: RunSummary, change: RunMark): void {
  const { folder } = runList.peek()
  const before = own.peek()[folder] ?? {}
  own.value = { ...own.peek(), [folder]: { ...before, [name]: { ...before[name], ...change } } }
}

/** All marks as the text of a board.json; those that say nothing are left out. */
export function marksText(): string {
  const said = Object.entries(marks.value).flatMap(([run, given]): [string, object][] => {
    const kept = Object.entries(given).filter(([, value]) => value !== '' && value !== false)
    return kept.length > 0 ? [[run, Object.fromEntries(kept)]] : []
  })
  return `${JSON.stringify({ runs: Object.fromEntries(said.sort(([a], [b]) => (a < b ? -1 : 1))) }, undefined, 2)}\n`
}
