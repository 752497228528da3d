import { computed, signal } from '@preact/signals'
import { type Axis, axes, type RunList, type Tag } from '../src/board/protocol.ts'
import { type Smoothing, smoothings } from '../src/board/smoothing.ts'
import { isBoolean, isText, oneOf, setting, within } from './setting.ts'

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

/** The run or group that the mouse or the focus is on, by id. */
export const highlighted = signal<number | undefined>(undefined)
/** The run whose details are open, by id. */
export const detailed = signal<number | undefined>(undefined)

export const tagFilter = setting('tags', '', isText, { isStored: false })
export const axis = setting<Axis>('axis', 'step', oneOf(axes))
export const method = setting<Smoothing>('method', 'exponential', oneOf(smoothings))
export const weight = setting('weight', 0.6, within(0, 0.999))
export const logX = setting('log-x', false, isBoolean)
export const logY = setting('log-y', false, isBoolean)
export const skipsOutliers = setting('outliers', false, isBoolean)
/** Least width of a card, in CSS pixels. */
export const cardWidth = setting('card-width', 340, within(240, 800), { isLinked: false })
/** Do all cards show the same step? */
export const linksSteps = setting('link-steps', false, isBoolean)
/** That step, when somebody has chosen one. */
export const linkedStep = signal<number | undefined>(undefined)
/** Seconds since 1970, for ages. */
export const clock = signal(Date.now() / 1000)
setInterval(() => (clock.value = Date.now() / 1000), 20_000)
export const railIsOpen = setting('rail', innerWidth > 800, isBoolean, { isLinked: false })

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
export const matching = (filter: string) => filterTest(filter) ?? (() => true)

export const runsById = computed(() => new Map(runList.value.runs.map((run) => [run.id, run])))

export const titleOf = ({ name, displayName }: Tag): string => displayName || name
