import { computed } from '@preact/signals'
import type { RunSummary, Tag } from '../src/board/protocol.ts'
import type { Kind } from '../src/board/run-event.ts'
import { type Condition, formatCondition, meets, parseCondition } from './condition.ts'
import { markOf, nameOf } from './marks.ts'
import { byName } from './name-order.ts'
import { isRecord, isText, listCodec, oneOf, setting } from './setting.ts'
import { matching, runList, tagFilter } from './state.ts'

/** How the list of runs is sorted. */
const runOrders = ['name', 'newest'] as const
export const runOrder = setting<(typeof runOrders)[number]>('order', 'name', oneOf(runOrders))

export const runFilter = setting('runs', '', isText, { isStored: false })

/** What hyperparameters of the runs must be, all of it. */
export const conditions = setting<readonly Condition[]>('where', [], Array.isArray, {
  isStored: false,
  codec: {
    encode: (list) => listCodec.encode(list.map(formatCondition)),
    decode: (text) => (listCodec.decode(text) as string[]).map(parseCondition).filter((condition) => condition !== undefined),
  },
})

/** Runs by name that are switched off while all others are on, or the other way round. */
interface Switches {
  areOn: boolean
  names: ReadonlySet<string>
}

const allOn: Switches = { areOn: false, names: new Set() }

export const switches = setting<Switches>('show', allOn, isRecord, {
  isStored: false,
  codec: {
    encode: ({ areOn, names }) => (areOn || names.size > 0 ? (areOn ? '' : '-') + listCodec.encode([...names]) : '-'),
    decode: (text) => {
      const areOn = !text.startsWith('-')
      return { areOn, names: new Set(listCodec.decode(areOn ? text : text.slice(1)) as string[]) }
    },
  },
})

export const isOn = ({ name }: RunSummary): boolean => switches.value.names.has(name) === switches.value.areOn

/** Pinned ones first. */
export const matchedRuns = computed(() => {
  const test = matching(runFilter.value)
  const matched = runList.value.runs.filter(
    (run) => (test(run.name) || test(nameOf(run))) && conditions.value.every((condition) => meets(run, condition)),
  )
  const ordered =
    runOrder.value === 'newest' ? matched.sort((a, b) => (b.started ?? Infinity) - (a.started ?? Infinity)) : byName(matched, nameOf)
  const isPinned = (run: RunSummary): boolean => markOf(run).pinned ?? false
  return [...ordered.filter(isPinned), ...ordered.filter((run) => !isPinned(run))]
})

export const visibleRuns = computed(() => matchedRuns.value.filter(isOn))

/** Switches runs on or off. */
export function show(runs: Iterable<RunSummary>, on: boolean): void {
  const { areOn, names } = switches.value
  const next = new Set(names)
  for (const { name } of runs)
    if (on === areOn) next.add(name)
    else next.delete(name)
  switches.value = { areOn, names: next }
}

/** Switches all runs on, those to come as well, or all off. */
export function showAll(on: boolean): void {
  switches.value = { areOn: !on, names: new Set() }
}

export function showOnly(runs: readonly RunSummary[]): void {
  switches.value = { areOn: true, names: new Set(runs.map(({ name }) => name)) }
}

export interface TagRuns {
  tag: Tag
  runs: RunSummary[]
}

/** Tags of a kind that visible runs have and the filter lets through, with those runs. */
export function tagsOf(kind: Kind): TagRuns[] {
  const test = matching(tagFilter.value)
  const byTag = new Map<number, TagRuns>()
  for (const tag of runList.value.tags) if (tag.kind === kind && test(tag.name)) byTag.set(tag.id, { tag, runs: [] })
  for (const run of visibleRuns.value) for (const id of run.tags) byTag.get(id)?.runs.push(run)
  return byName(
    [...byTag.values()].filter(({ runs }) => runs.length > 0),
    ({ tag }) => tag.name,
  )
}
