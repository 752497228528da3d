/** What the server says and the page reads. JSON, but for scalars, which are packed numbers: see scalar-frame.ts. */
import type { Graph, Hparams, Kind, Slice, Status, TagWords } from './run-event.ts'

export interface RunList {
  /** The folder that is watched. */
  folder: string
  tags: Tag[]
  runs: RunSummary[]
  traces: string[]
  /** What the folder's board.json says of runs, by name of run. */
  marks: Record<string, RunMark>
  /** Why that file could not be read. */
  marksProblem: string | null
  loading: { found: number; read: number }
}

export interface Tag extends TagWords {
  id: number
  kind: Kind
  name: string
}

export interface RunSummary {
  id: number
  name: string
  /** Indices into {@link RunList.tags}, which are the tags' ids. */
  tags: number[]
  /** Seconds since 1970; null while nothing was read. */
  started: number | null
  updated: number | null
  points: number
  graph: boolean
  /** Its own and those of the folders above it. */
  hparams: Hparams | null
  status: Status
  problems: Record<string, string>
}

/** What people say of a run. Empty texts say nothing. */
export interface RunMark {
  /** Shown instead of the folder's name. */
  name?: string
  /** `#rrggbb` */
  color?: string
  note?: string
  /** Stands above the others. */
  pinned?: boolean
}

export const axes = ['step', 'relative', 'wall'] as const

/** `relative` is in seconds since the run's first event, `wall` in seconds since 1970. */
export type Axis = (typeof axes)[number]

export interface ScalarCurve {
  run: number
  /** How many points there are in all; `x` has those that a picture needs. */
  total: number
  x: Float64Array
  y: Float64Array
  /** Empty without smoothing. */
  smoothed: Float64Array
}

/** One tag of a group of runs: the mean, what is drawn around it (empty without), and how many runs it is the mean of, at each x. */
export interface GroupCurve {
  /** Its place among the groups that were asked for. */
  group: number
  runs: number
  /** Points of all its runs. */
  total: number
  x: Float64Array
  mean: Float64Array
  low: Float64Array
  high: Float64Array
  count: Float64Array
}

/** The state of a tag at the end of a run, and its extremes among finite values (null without any). */
export interface Summary {
  last: number | null
  min: number | null
  max: number | null
  step: number
}

export interface Table {
  rows: { run: number; /** By tag's id. */ metrics: Record<number, Summary> }[]
}

export interface HistogramSeries {
  seen: number
  steps: number[]
  times: number[]
  /** One row a moment, on common edges. */
  edges: number[]
  counts: number[][]
}

export interface MediaList {
  seen: number
  moments: { step: number; time: number; frames: number }[]
}

export interface NoteList {
  seen: number
  moments: { step: number; time: number; text: string }[]
}

export interface CurveList {
  runs: {
    run: number
    seen: number
    /** By thresholds that rise, where anything is predicted. */ moments: { step: number; precision: number[]; recall: number[] }[]
  }[]
}

export interface ProfileList {
  seen: number
  moments: { step: number; time: number }[]
}

export interface ProfileReply {
  slices: readonly Slice[]
}

export interface GraphReply {
  graph: Graph
}

/** The machine that the board runs on, one sample a line. */
export interface SystemSample {
  /** Seconds since 1970. */
  time: number
  /** Share of all cores that was busy since the sample before, 0 to 1. */
  cpu: number
  /** The same, core by core. */
  cores: number[]
  /** Bytes. */
  memory: number
  /** Processes that wanted to run, averaged over a minute. */
  load: number
}

export interface SystemReply {
  machine: { cores: number; model: string; memory: number; platform: string; host: string }
  samples: SystemSample[]
}

/** What the live stream sends. */
export type LiveMessage =
  | { type: 'change'; runs: number[]; structure: boolean; loading: { found: number; read: number } }
  | { type: 'system'; sample: SystemSample }
