import { computed, signal } from '@preact/signals'
import { type Axis, axes, type RunList, type RunSummary, type Tag } from '../src/board/protocol.ts'
import type { Kind } from '../src/board/run-event.ts'
import { type Smoothing, smoothings } from '../src/board/smoothing.ts'
import { paletteColor, paletteDash } from './palette.ts'
import { isBoolean, isRecord, oneOf, stored, within } from './stored.ts'
import { isDark } from './theme.ts'

/** What the server says there is. */
export const runList = signal<RunList>({
  folder: '',
  tags: [],
  runs: [],
  traces: [],
  marks: {},
  marksProblem: null,
  loading: { found: 0, read: 0 },
})
/** Did the first list come? */
export const isReady = signal(false)
export const loading = signal({ found: 0, read: 0 })
export const isLive = signal(false)
/** What could not be fetched, to be said once. */
export const failure = signal('')

export const runFilter = signal('')
/** Names of the runs that the user switched off. */
export const hidden = signal<ReadonlySet<string>>(new Set())
/** Colours that the user chose, by name of run. */
export const chosenColors = stored<Record<string, string>>('colors', {}, isRecord)
/** The run that the mouse or the focus is on, by id. */
export const highlighted = signal<number | undefined>(undefined)

export const tagFilter = signal('')
export const axis = stored<Axis>('axis', 'step', oneOf(axes))
export const method = stored<Smoothing>('method', 'exponential', oneOf(smoothings))
export const weight = stored('weight', 0.6, within(0, 0.999))
export const logX = stored('log-x', false, isBoolean)
export const logY = stored('log-y', false, isBoolean)
export const skipsOutliers = stored('outliers', false, isBoolean)
/** Least width of a card, in CSS pixels. */
export const cardWidth = stored('card-width', 340, within(240, 800))
/** How the list of runs is sorted. */
export const runOrders = ['name', 'newest'] as const
export const runOrder = stored<(typeof runOrders)[number]>('run-order', 'name', oneOf(runOrders))
/** Do all cards show the same step? */
export const linksSteps = stored('link-steps', false, isBoolean)
/** That step, when somebody has chosen one. */
export const linkedStep = signal<number | undefined>(undefined)
/** Seconds since 1970, for ages. */
export const clock = signal(Date.now() / 1000)
setInterval(() => (clock.value = Date.now() / 1000), 20_000)
export const railIsOpen = stored('rail', innerWidth > 800, isBoolean)

/** A filter as a test: a regular expression without regard to case, or undefined while it is not one. */
export function filterTest(filter: string): ((text: string) => boolean) | undefined {
  try {
    const pattern = new RegExp(filter, 'i')
    return (text) => pattern.test(text)
  } catch {
    return undefined
  }
}

/** A half-written filter keeps everything. */
const matching = (filter: string) => filterTest(filter) ?? (() => true)

export const matchedRuns = computed(() => {
  const test = matching(runFilter.value)
  const matched = runList.value.runs.filter(({ name }) => test(name))
  return runOrder.value === 'newest' ? matched.sort((a, b) => (b.started ?? Infinity) - (a.started ?? Infinity)) : matched
})
export const visibleRuns = computed(() => matchedRuns.value.filter(({ name }) => !hidden.value.has(name)))
export const runsById = computed(() => new Map(runList.value.runs.map((run) => [run.id, run])))

export const colorOf = (run: RunSummary): string => chosenColors.value[run.name] ?? paletteColor(run.id, isDark.value)
export const dashOf = (run: RunSummary): readonly number[] => (run.name in chosenColors.value ? [] : paletteDash(run.id))

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
  return [...byTag.values()].filter(({ runs }) => runs.length > 0).sort((a, b) => collator.compare(a.tag.name, b.tag.name))
}

const collator = new Intl.Collator('en', { numeric: true })

export const titleOf = ({ name, displayName }: Tag): string => displayName || name

/** Switches runs on or off. */
export function show(names: Iterable<string>, on: boolean): void {
  const next = new Set(hidden.value)
  for (const name of names)
    if (on) next.delete(name)
    else next.add(name)
  hidden.value = next
}

export function showOnly(name: string): void {
  hidden.value = new Set(runList.value.runs.map((run) => run.name).filter((other) => other !== name))
}
