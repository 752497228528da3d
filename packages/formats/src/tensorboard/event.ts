/**
 * What one entry of an event file says. `step` is an integer, `wallTime` seconds since 1970. Texts are Markdown, row-major: shape [] is one of
 * them, [n] a list, [rows, columns] a table.
 */
export type TensorBoardEvent = At &
  (
    | (Tagged & { readonly kind: 'scalar'; readonly value: number })
    | (Tagged & { readonly kind: 'histogram'; readonly histogram: HistogramBuckets })
    | (Tagged & { readonly kind: 'image'; readonly width: number; readonly height: number; readonly images: readonly Uint8Array[] })
    | (Tagged & { readonly kind: 'audio'; readonly mimeType: string; readonly clips: readonly AudioClip[] })
    | (Tagged & { readonly kind: 'text'; readonly texts: readonly string[]; readonly shape: readonly number[] })
    | (Tagged & { readonly kind: 'prCurve'; readonly curve: PrCurve })
    | (Tagged & { readonly kind: 'hparams'; readonly hparams: HParamsRecord })
    | (Tagged & { readonly kind: 'tensor'; readonly plugin: string; readonly tensor: EventTensor })
    | { readonly kind: 'graph'; readonly nodes: readonly GraphNodeRecord[] }
    | { readonly kind: 'profile'; readonly tag: string; readonly slices: readonly ProfileSlice[] }
    | { readonly kind: 'fileVersion'; readonly version: string; readonly writer: string | undefined }
    | { readonly kind: 'sessionLog'; readonly status: 'start' | 'stop' | 'checkpoint' | 'unspecified'; readonly message: string }
    | { readonly kind: 'log'; readonly level: number; readonly message: string }
  )

/** What an event holds: a scalar, images, a histogram and so on. */
export type EventKind = TensorBoardEvent['kind']

interface At {
  readonly step: number
  readonly wallTime: number
}

interface Tagged {
  readonly tag: string
  /** Of the tag, from the first of its events that has one; empty if none. Markdown. */
  readonly description: string
  /** Shown instead of the tag; empty if none. */
  readonly displayName: string
}

/** Bucket `i` counts the values in `[left[i], right[i])`, the last one those that equal its right edge too. */
export interface HistogramBuckets {
  readonly left: Float64Array
  readonly right: Float64Array
  readonly count: Float64Array
}

/** A clip, and the label that it is shown with. */
export interface AudioClip {
  /** The encoded file, usually WAV. */
  readonly data: Uint8Array
  readonly label: string
}

/** At threshold `i / (n - 1)`, for n thresholds: what was predicted at or above it against what was true. */
export interface PrCurve {
  readonly truePositives: Float64Array
  readonly falsePositives: Float64Array
  readonly trueNegatives: Float64Array
  readonly falseNegatives: Float64Array
  readonly precision: Float64Array
  readonly recall: Float64Array
}

/** A hyperparameter's value in a run. */
export type HParamValue = number | string | boolean

/** The three records in which TensorBoard's HParams plugin keeps a run: what there is to vary, what this run has, and how it ended. */
export type HParamsRecord =
  | {
      readonly type: 'experiment'
      readonly hparams: readonly HParamInfo[]
      readonly metrics: readonly MetricInfo[]
      readonly timeCreated: number
    }
  | {
      readonly type: 'start'
      readonly hparams: ReadonlyMap<string, HParamValue | null>
      readonly group: string
      readonly startTime: number
    }
  | { readonly type: 'end'; readonly status: 'unknown' | 'success' | 'failure' | 'running'; readonly endTime: number }

/** A hyperparameter as the board shows it; texts that are not given are empty. */
export interface HParamInfo {
  readonly name: string
  readonly displayName: string
  readonly description: string
}

/** A metric that runs are compared by. */
export interface MetricInfo {
  /** Tag of the scalar. */
  readonly tag: string
  readonly displayName: string
  readonly description: string
}

/** A tensor of a plugin that has no kind of its own. Strings come as bytes. */
export interface EventTensor {
  readonly shape: readonly number[]
  readonly values:
    | Float32Array
    | Float64Array
    | Int32Array
    | Uint32Array
    | BigInt64Array
    | BigUint64Array
    | Uint8Array
    | readonly Uint8Array[]
}

/** A stretch of time of a profile. */
export interface ProfileSlice {
  readonly name: string
  readonly label: string
  /** What ran it: `/host:CPU/kernel`. */
  readonly device: string
  /** Lane of the device; slices of one lane do not overlap but for those that lie in others. */
  readonly thread: number
  /** Milliseconds. */
  readonly start: number
  readonly ms: number
}

/** A node of a graph: what a `NodeDef` says. */
export interface GraphNodeRecord {
  /** Slashes nest nodes into boxes. */
  readonly name: string
  readonly op: string
  /** Names of nodes, with `:1` after them for an output other than the first. */
  readonly inputs: readonly string[]
  readonly device: string
  /** Shapes of the outputs, where known. */
  readonly shapes: readonly (readonly number[])[]
  readonly attributes: ReadonlyMap<string, string>
}
