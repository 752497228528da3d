import type { Engine, Program } from '../engine/engine.ts'
import { startedEngines } from '../engine/registry.ts'
import { CotangentError } from '../errors.ts'
import { printedAs } from '../printed.ts'
import { modes } from '../tensor/modes.ts'
import { formatTime, textTable } from '../text-table.ts'
import { costOf } from './cost.ts'
import { afterwards, observing } from './observe.ts'

/** What a slice of a profile's time was spent in: a part that `recordScope` named, an op, a compiled function, or a kernel or routine. */
export type SliceKind = 'scope' | 'op' | 'compiled' | 'kernel'

/** A stretch of time in a profile. */
export interface Slice {
  readonly kind: SliceKind
  readonly name: string
  /** Milliseconds since the profile began. */
  readonly start: number
  readonly ms: number
  /** Slices that it lies in. */
  readonly depth: number
  /** What ran, of kernels and routines. */
  readonly program?: Program
}

/** All runs of the kernels of one name. */
export interface ProfileRow {
  readonly name: string
  readonly calls: number
  readonly ms: number
  /** Of the time in kernels, 0 to 1. */
  readonly share: number
  readonly gbPerSecond: number
  readonly gflopPerSecond: number
}

/** What comes first in the table of a profile, and how long it is. */
export interface ProfileTableOptions {
  /** Default `ms`. */
  readonly sortBy?: 'ms' | 'calls' | 'gbPerSecond' | 'gflopPerSecond'
  /** Rows at most; default 30. */
  readonly rows?: number
}

/** Where the time of a piece of code went. Printing it shows the table. */
export class Profile {
  /** In the order in which they began. */
  readonly slices: readonly Slice[]
  /** Of the whole piece of code. */
  readonly ms: number

  constructor(slices: readonly Slice[], ms: number) {
    this.slices = slices
    this.ms = ms
    printedAs(this, () => this.table())
  }

  /** Time in kernels and routines; the rest is JavaScript: tracing, autograd, your own code. */
  get kernelMs(): number {
    return this.#kernels.reduce((sum, slice) => sum + slice.ms, 0)
  }

  /** One row a kernel name, by time. */
  get rows(): readonly ProfileRow[] {
    const groups = new Map<string, Slice[]>()
    for (const slice of this.#kernels) {
      const group = groups.get(slice.name)
      if (group) group.push(slice)
      else groups.set(slice.name, [slice])
    }
    const { kernelMs } = this
    return [...groups]
      .map(([name, slices]) => {
        const ms = slices.reduce((sum, slice) => sum + slice.ms, 0)
        const costs = slices.map(({ program }) => costOf(program!))
        const bytes = costs.reduce((sum, cost) => sum + cost.bytesRead + cost.bytesWritten, 0)
        const flops = costs.reduce((sum, cost) => sum + cost.flops, 0)
        const rate = (amount: number) => (ms > 0 ? amount / ms / 1e6 : 0)
        return {
          name,
          calls: slices.length,
          ms,
          share: kernelMs > 0 ? ms / kernelMs : 0,
          gbPerSecond: rate(bytes),
          gflopPerSecond: rate(flops),
        }
      })
      .sort((a, b) => b.ms - a.ms)
  }

  /** The rows as text. */
  table({ sortBy = 'ms', rows = 30 }: ProfileTableOptions = {}): string {
    const all = this.rows.toSorted((a, b) => b[sortBy] - a[sortBy])
    const columns = ['calls', 'total', 'mean', 'share', 'GB/s', 'GFLOP/s'].map((title) => ({ title, align: 'right' as const }))
    const cells = all
      .slice(0, rows)
      .map(({ name, calls, ms, share, gbPerSecond, gflopPerSecond }) => [
        name,
        String(calls),
        formatTime(ms),
        formatTime(ms / calls),
        `${(share * 100).toFixed(1)}%`,
        gbPerSecond.toPrecision(3),
        gflopPerSecond.toPrecision(3),
      ])
    const more = all.length > rows ? [`and ${all.length - rows} more`] : []
    const { kernelMs } = this
    const total = `${formatTime(this.ms)} in all, ${formatTime(kernelMs)} in ${this.#kernels.length} runs of kernels and routines`
    return [textTable([{ title: 'kernel' }, ...columns], cells), ...more, total].join('\n')
  }

  /** The profile in Chrome's trace event format: a JSON text that opens in ui.perfetto.dev and chrome://tracing. */
  toChromeTrace(): string {
    const events = this.slices.map(({ kind, name, start, ms, program }) => ({
      name,
      cat: kind,
      ph: 'X',
      ts: start * 1000,
      dur: ms * 1000,
      pid: 1,
      tid: 1,
      ...(program && { args: argsOf(program) }),
    }))
    const meta = { name: 'process_name', ph: 'M', pid: 1, args: { name: 'Cotangent' } }
    return JSON.stringify({ traceEvents: [meta, ...events], displayTimeUnit: 'ms' })
  }

  get #kernels(): Slice[] {
    return this.slices.filter(({ kind }) => kind === 'kernel')
  }
}

function argsOf(program: Program): Record<string, unknown> {
  const { bytesRead, bytesWritten, flops } = costOf(program)
  const shape = program.kind === 'kernel' ? [...program.parallel, ...program.reduce] : program.outputs[0]!.shape
  return { kind: program.kind, shape: `[${shape.join(', ')}]`, bytesRead, bytesWritten, flops }
}

/** Slices while they are being made; a parent's is entered before those in it. */
class Recording {
  readonly slices: { -readonly [K in keyof Slice]: Slice[K] }[] = []
  readonly #began = performance.now()
  #depth = 0

  within<T>(kind: SliceKind, name: string, body: () => T): T {
    const slice = { kind, name, start: performance.now() - this.#began, ms: 0, depth: this.#depth++ }
    this.slices.push(slice)
    const end = () => {
      this.#depth--
      slice.ms = performance.now() - this.#began - slice.start
    }
    return afterwards(body, end)
  }

  kernel(program: Program, ms: number): void {
    const start = performance.now() - this.#began - ms
    this.slices.push({ kind: 'kernel', name: program.name, start, ms, depth: this.#depth, program })
  }

  end(): Profile {
    return new Profile(this.slices, performance.now() - this.#began)
  }
}

let recording: Recording | null = null

/**
 * Runs `body` and tells where its time went: every kernel and routine that ran, in eager and in compiled code, in the op,
 * compiled function and `recordScope` that it ran for. Compiled functions run their steps one by one meanwhile, which is
 * somewhat slower.
 *
 *     console.log(profile(() => step(x, y)))
 *
 * @param body May be async; then so is the profile.
 * @throws `invalid-argument` inside another profile.
 */
export function profile(body: () => Promise<unknown>): Promise<Profile>
export function profile(body: () => unknown): Profile
export function profile(body: () => unknown): Profile | Promise<Profile> {
  if (recording) {
    throw new CotangentError('invalid-argument', {
      op: 'profile',
      message: 'a profile is being taken already',
      hint: 'Name parts of it with recordScope instead.',
    })
  }
  const current = new Recording()
  const outer = modes.watcher
  const stop = () => {
    recording = null
    modes.watcher = outer
  }
  const engines: readonly Engine[] = startedEngines()
  const run = () => {
    recording = current
    modes.watcher = (kind, name, inner) => current.within(kind, name, inner)
    return afterwards(body, stop)
  }
  const result = observing(engines, (program, ms) => current.kernel(program, ms), run)
  return result instanceof Promise ? result.then(() => current.end()) : current.end()
}

/** Names a part of the code in profiles; outside of them it only runs `body`. It may be async. */
export function recordScope<T>(name: string, body: () => T): T {
  return recording ? recording.within('scope', name, body) : body()
}
