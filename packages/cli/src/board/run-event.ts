/** What a run's files say, one record each: the board's own words for them, whatever format they were read from. */
export type RunEvent = { readonly step: number; /** Seconds since 1970. */ readonly time: number } & (
  | (Tagged & { readonly kind: 'scalar'; readonly value: number })
  | (Tagged & { readonly kind: 'histogram'; readonly buckets: Buckets })
  | (Tagged & { readonly kind: 'image' | 'audio'; readonly frames: readonly Uint8Array[] })
  | (Tagged & { readonly kind: 'text'; readonly text: string })
  | (Tagged & { readonly kind: 'curve'; readonly curve: Curve })
  | (Tagged & { readonly kind: 'profile'; readonly slices: readonly Slice[] })
  | { readonly kind: 'graph'; readonly graph: Graph }
  | { readonly kind: 'hparams'; readonly values: Hparams }
  | { readonly kind: 'status'; readonly status: Status }
)

interface Tagged {
  readonly tag: string
  readonly words: TagWords | undefined
}

/** What the writer has to say about a tag. */
export interface TagWords {
  /** Markdown. */
  readonly description: string
  /** Shown instead of the tag, unless empty. */
  readonly displayName: string
}

/** `count[i]` values lie in `[left[i], right[i])`. */
export interface Buckets {
  readonly left: ArrayLike<number>
  readonly right: ArrayLike<number>
  readonly count: ArrayLike<number>
}

/** Precision against recall at evenly spaced thresholds from 0 to 1. */
export interface Curve {
  readonly precision: ArrayLike<number>
  readonly recall: ArrayLike<number>
  /** The weight of the examples that are predicted at all. */
  readonly predicted: ArrayLike<number>
}

/** A stretch of time of a profile, in milliseconds. Slices of a lane lie in one another or apart. */
export interface Slice {
  readonly name: string
  /** What sort of thing it is, where that is known: an op, say, or the kernel in it. */
  readonly kind?: string
  readonly lane: string
  readonly start: number
  readonly ms: number
}

export interface Graph {
  readonly nodes: readonly GraphNode[]
}

export interface GraphNode {
  /** A path: scopes apart by `/`. */
  readonly name: string
  readonly op: string
  /** Names of the nodes that it reads. */
  readonly inputs: readonly string[]
  /** What else is known of it: shapes, device, options; ready to read. */
  readonly attributes: Readonly<Record<string, string>>
}

export type Hparams = Readonly<Record<string, number | string | boolean>>

/** How a run ended, where it said so. */
export type Status = 'unknown' | 'success' | 'failure' | 'running'

/** Kinds of series, those with tags. */
export const kinds = ['scalar', 'histogram', 'image', 'audio', 'text', 'curve', 'profile'] as const

export type Kind = (typeof kinds)[number]
