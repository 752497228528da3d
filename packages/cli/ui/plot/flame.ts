import type { Slice } from '../../src/board/run-event.ts'

/** A slice with its place: `depth` others of its lane lie around it. */
export interface Flame extends Slice {
  depth: number
  /** Milliseconds not spent in slices within it. */
  self: number
  /** Does it lie in another of its name and kind? That one's time is its own, too. */
  isInner: boolean
}

interface Lane {
  name: string
  /** By start. */
  flames: Flame[]
  depth: number
}

export interface FlameChart {
  lanes: Lane[]
  /** Milliseconds. */
  start: number
  end: number
}

/** Nests the slices of each lane. Of two that overlap without one lying in the other, which clocks may bring about, the later goes below too. */
export function nest(slices: readonly Slice[]): FlameChart {
  const byLane = new Map<string, Slice[]>()
  for (const slice of slices) {
    const lane = byLane.get(slice.lane)
    if (lane) lane.push(slice)
    else byLane.set(slice.lane, [slice])
  }
  let start = Infinity
  let end = -Infinity
  const lanes = [...byLane].map(([name, members]): Lane => {
    members.sort((a, b) => a.start - b.start || b.ms - a.ms)
    const around: Flame[] = []
    let depth = 0
    const flames = members.map((slice): Flame => {
      start = Math.min(start, slice.start)
      end = Math.max(end, slice.start + slice.ms)
      while (around.length > 0 && around.at(-1)!.start + around.at(-1)!.ms <= slice.start) around.pop()
      const isInner = around.some(({ name, kind }) => name === slice.name && kind === slice.kind)
      const flame = { ...slice, depth: around.length, self: slice.ms, isInner }
      const outer = around.at(-1)
      if (outer) outer.self = Math.max(0, outer.self - slice.ms)
      around.push(flame)
      depth = Math.max(depth, around.length)
      return flame
    })
    return { name, flames, depth }
  })
  return { lanes, start: Number.isFinite(start) ? start : 0, end: Number.isFinite(end) ? end : 1 }
}

interface TraceEvent {
  ph?: string
  name?: string
  cat?: string
  pid?: number | string
  tid?: number | string
  /** Microseconds, as `dur`. */
  ts?: number
  dur?: number
  args?: { name?: string }
}

/** Slices of a trace in Chrome's trace event format: complete events (X), and pairs of begin and end (B, E). */
export function slicesOf(trace: unknown): Slice[] {
  const events = (Array.isArray(trace) ? trace : (trace as { traceEvents?: unknown }).traceEvents) as TraceEvent[] | undefined
  if (!Array.isArray(events)) throw new Error('This is not a trace in the Chrome format: it has no list of traceEvents.')
  const processes = new Map<unknown, string>()
  const threads = new Map<string, string>()
  for (const { ph, name, pid, tid, args } of events) {
    if (ph !== 'M' || !args?.name) continue
    if (name === 'process_name') processes.set(pid, args.name)
    if (name === 'thread_name') threads.set(`${pid} ${tid}`, args.name)
  }
  const laneOf = ({ pid = 0, tid = 0 }: TraceEvent): string =>
    `${processes.get(pid) ?? `process ${pid}`} · ${threads.get(`${pid} ${tid}`) ?? `thread ${tid}`}`
  const slices: Slice[] = []
  const open = new Map<string, TraceEvent[]>()
  const sliceOf = (event: TraceEvent, ms: number): Slice => ({
    name: event.name ?? '',
    ...(event.cat && { kind: event.cat }),
    lane: laneOf(event),
    start: (event.ts ?? 0) / 1000,
    ms,
  })
  for (const event of events) {
    const { ph, ts = 0, dur = 0 } = event
    if (ph === 'X') slices.push(sliceOf(event, dur / 1000))
    const key = `${event.pid} ${event.tid}`
    if (ph === 'B') open.set(key, [...(open.get(key) ?? []), event])
    const begun = ph === 'E' ? open.get(key)?.pop() : undefined
    if (begun) slices.push(sliceOf(begun, (ts - begun.ts!) / 1000))
  }
  return slices
}

interface Total {
  name: string
  kind: string
  calls: number
  self: number
  ms: number
}

/** What each name of each kind cost, most first. */
export function totals({ lanes }: FlameChart): Total[] {
  const byName = new Map<string, Total>()
  for (const { flames } of lanes) {
    for (const { name, kind = '', self, ms, isInner } of flames) {
      const key = JSON.stringify([name, kind])
      let total = byName.get(key)
      if (!total) byName.set(key, (total = { name, kind, calls: 0, self: 0, ms: 0 }))
      total.calls++
      total.self += self
      if (!isInner) total.ms += ms
    }
  }
  return [...byName.values()].sort((a, b) => b.self - a.self)
}
