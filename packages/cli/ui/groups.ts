import { computed, signal } from '@preact/signals'
import { bands } from '../src/board/group-curve.ts'
import type { RunSummary } from '../src/board/protocol.ts'
import { nameOf } from './marks.ts'
import { isTexts, listCodec, oneOf, setting } from './setting.ts'
import { matchedRuns } from './shown-runs.ts'
import { runList } from './state.ts'
import { formatCell } from './words.ts'

/** Runs that are alike in what runs are grouped by. */
export interface RunGroup {
  /** Apart from those of runs. */
  id: number
  /** What its runs have in common. No two groups have the same. */
  title: string
  runs: readonly RunSummary[]
}

/** What the runs of a group have in common: `folder`, `name` (but for a number at its end), or `=NAME` of a hyperparameter. */
export const groupBy = setting<readonly string[]>('group', [], isTexts, { isStored: false, codec: listCodec })

/** How a group is drawn: as its mean with a {@link bands | band}, or each of its runs in the group's colour. */
export const groupLooks = [...bands, 'runs'] as const
export const groupLook = setting<(typeof groupLooks)[number]>('band', 'range', oneOf(groupLooks))

/** Groups whose runs are listed, by title. */
export const unfolded = signal<ReadonlySet<string>>(new Set())

/** Lists the runs of a group or hides them. */
export function fold(group: RunGroup, isOpen: boolean): void {
  const next = new Set(unfolded.value)
  if (isOpen) next.add(group.title)
  else next.delete(group.title)
  unfolded.value = next
}

const isSame = ([a, ...rest]: readonly unknown[]): boolean => rest.every((value) => value === a)

/** All that runs can be grouped by, in words. Hyperparameters that all runs share make no groups. */
export const groupKeys = computed((): { key: string; title: string }[] => {
  const { runs } = runList.value
  const names = [...new Set(runs.flatMap(({ hparams }) => Object.keys(hparams ?? {})))]
  const varying = names.filter((name) => !isSame(runs.map(({ hparams }) => hparams?.[name])))
  return [
    { key: 'folder', title: 'Folder' },
    { key: 'name', title: 'Name without its last number' },
    ...varying.map((name) => ({ key: `=${name}`, title: name })),
  ]
})

/** What a run has of a key, as a value that sorts and in words. */
function partOf(run: RunSummary, key: string): { value: number | string; words: string } {
  if (key === 'folder') {
    const folder = run.name.includes('/') ? run.name.slice(0, run.name.lastIndexOf('/')) : '.'
    return { value: folder, words: folder }
  }
  if (key === 'name') {
    const name = nameOf(run).replace(/[-_./ ]*(?:seed|run|trial|version)?[-_=]?\d+$/i, '') || nameOf(run)
    return { value: name, words: name }
  }
  const name = key.slice(1)
  const found = run.hparams?.[name]
  if (found === undefined) return { value: '', words: `no ${name}` }
  // Words say by themselves what they are; numbers and answers do not.
  if (typeof found === 'string') return { value: found, words: found }
  return { value: Number(found), words: `${name} ${formatCell(found)}` }
}

/** Ids of groups begin where those of runs end. */
const firstId = 2 ** 31

/** Id and title of the group of each run, among all runs there are: so a group keeps its colour while others are filtered away. */
const places = computed(() => {
  const keys = groupBy.value
  if (keys.length === 0) return undefined
  const found = new Map<string, { parts: ReturnType<typeof partOf>[]; names: string[] }>()
  for (const run of runList.value.runs) {
    const parts = keys.map((key) => partOf(run, key))
    const title = parts.map(({ words }) => words).join(', ')
    const group = found.get(title) ?? { parts, names: [] }
    group.names.push(run.name)
    found.set(title, group)
  }
  const sorted = [...found].sort(([, a], [, b]) => {
    const differs = a.parts.findIndex(({ value }, i) => value !== b.parts[i]!.value)
    return differs < 0 ? 0 : compare(a.parts[differs]!.value, b.parts[differs]!.value)
  })
  return new Map(sorted.flatMap(([title, { names }], place) => names.map((name) => [name, { id: firstId + place, title }] as const)))
})

/** Numbers before words. */
function compare(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number') return a - b
  if (typeof a !== typeof b) return typeof a === 'number' ? -1 : 1
  return collator.compare(String(a), String(b))
}

const collator = new Intl.Collator('en', { numeric: true })

/** Of the group that a run is in, or undefined where runs are not grouped. */
export const groupOf = ({ name }: RunSummary): Pick<RunGroup, 'id' | 'title'> | undefined => places.value?.get(name)

/** Place of a group among all groups. */
export const placeOfGroup = ({ id }: Pick<RunGroup, 'id'>): number => id - firstId

/** Runs in their groups, by the order of the groups. */
export function grouped(runs: readonly RunSummary[]): RunGroup[] {
  const found = new Map<number, RunGroup & { runs: RunSummary[] }>()
  for (const run of runs) {
    const { id, title } = groupOf(run)!
    const group = found.get(id) ?? { id, title, runs: [] }
    group.runs.push(run)
    found.set(id, group)
  }
  return [...found.values()].sort((a, b) => a.id - b.id)
}

/** The groups of the runs that the filters let through; undefined where runs are not grouped. */
export const groups = computed(() => (places.value ? grouped(matchedRuns.value) : undefined))
