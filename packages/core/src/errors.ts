/**
 * Errors are data. Every failure that a user can cause is a `CotangentError`: a `code` to branch on, the op, shapes and
 * dtypes involved, and a `hint` that says what to do next. One formatter words them all.
 */
export type ErrorCode =
  | 'shape-mismatch'
  | 'dtype-mismatch'
  | 'index-out-of-range'
  | 'axis-out-of-range'
  | 'invalid-argument'
  | 'empty-reduction'
  | 'released-tensor'
  | 'tracer-read'
  | 'out-of-memory'
  | 'corrupt-file'
  /** A file or folder that cannot be read or written. */
  | 'io-failure'
  /** An element of a dataset that cannot be read or used; the rest can. */
  | 'bad-record'
  | 'unknown-engine'
  | 'engine-failure'
  | 'async-only'
  | 'no-gradient'
  | 'modified-in-place'
  | 'non-finite'
  | 'check-failed'
  | 'unsupported'

/** What an error says, as data. */
export interface ErrorDetails {
  /** What was wrong, one sentence, lower case, no full stop. */
  message: string
  /** The op or function that refused, e.g. `matmul`. */
  op?: string
  /** Shapes of the inputs, in argument order. */
  shapes?: readonly (readonly number[])[]
  /** Dtypes of the inputs, in argument order. */
  dtypes?: readonly string[]
  /** What the user can do about it, one sentence. */
  hint?: string
  cause?: unknown
}

/** What is thrown for every failure that a user can cause. */
export class CotangentError extends Error {
  override readonly name = 'CotangentError'
  readonly code: ErrorCode
  readonly op: string | undefined
  readonly shapes: readonly (readonly number[])[] | undefined
  readonly dtypes: readonly string[] | undefined
  readonly hint: string | undefined
  /** Position of the program that failed among the steps of its sequence; entered by the engine that ran it. */
  step: number | undefined

  constructor(code: ErrorCode, details: ErrorDetails) {
    super(formatError(details), details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.op = details.op
    this.shapes = details.shapes
    this.dtypes = details.dtypes
    this.hint = details.hint
  }
}

/** `matmul: inner sizes 3 and 4 differ (shapes [2, 3], [4, 5]). Transpose one of them.` */
function formatError({ message, op, shapes, dtypes, hint }: ErrorDetails): string {
  const facts: string[] = []
  if (shapes?.length) facts.push(`shape${shapes.length > 1 ? 's' : ''} ${shapes.map(formatShape).join(', ')}`)
  if (dtypes?.length) facts.push(`dtype${dtypes.length > 1 ? 's' : ''} ${dtypes.join(', ')}`)
  return `${op ? `${op}: ` : ''}${message}${facts.length ? ` (${facts.join('; ')})` : ''}.${hint ? ` ${hint}` : ''}`
}

export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`
}

/** `1.5 MiB` */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`
  const exponent = Math.min(3, Math.floor(Math.log2(bytes) / 10))
  return `${Number((bytes / 1024 ** exponent).toFixed(1))} ${['bytes', 'KiB', 'MiB', 'GiB'][exponent]}`
}
