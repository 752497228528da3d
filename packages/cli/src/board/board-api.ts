import { createReadStream } from 'node:fs'
import type { Readable } from 'node:stream'
import { BoardError } from './board-error.ts'
import { commonBuckets } from './common-buckets.ts'
import { containedPath } from './contained-path.ts'
import type { CurveList, HistogramSeries, MediaList, NoteList, ProfileList, ProfileReply, RunList, Table } from './protocol.ts'
import { Query } from './query.ts'
import type { Hparams, Kind } from './run-event.ts'
import { isTrace } from './run-folders.ts'
import type { RunStore } from './run-store.ts'
import type { Run } from './run.ts'
import { packCurves, packGroups } from './scalar-frame.ts'
import { csvOf, curves, groupCurves, summarise } from './scalar-query.ts'
import { sniffMedia } from './sniff-media.ts'
import type { SystemMonitor } from './system-monitor.ts'
import { TagIndex } from './tag-index.ts'

export interface Reply {
  type: string
  body: string | Uint8Array | Readable
  headers?: Record<string, string>
}

/** What the addresses under /api/ answer, by name. Runs and tags go by numbers; only traces are named by a path. */
export class BoardApi {
  readonly #store: RunStore
  readonly #monitor: SystemMonitor
  readonly #tags = new TagIndex()

  constructor(store: RunStore, monitor: SystemMonitor) {
    this.#store = store
    this.#monitor = monitor
  }

  async answer(name: string, params: URLSearchParams): Promise<Reply> {
    const query = new Query(params)
    switch (name) {
      case 'runs':
        return json(this.#list())
      case 'scalars':
        return {
          type: 'application/octet-stream',
          body: packCurves(curves(this.#having('scalar', query), this.#tag('scalar', query), query)),
        }
      case 'groups': {
        const groups = query.groups('groups').map((ids) => this.#having('scalar', query, ids))
        return { type: 'application/octet-stream', body: packGroups(groupCurves(groups, this.#tag('scalar', query), query)) }
      }
      case 'csv': {
        const tag = this.#tag('scalar', query)
        const file = `${tag.replace(/[^\w.-]+/g, '_')}.csv`
        const headers = { 'Content-Disposition': `attachment; filename="${file}"` }
        return { type: 'text/csv; charset=utf-8', body: csvOf(this.#having('scalar', query), tag), headers }
      }
      case 'table':
        return json(this.#table(query))
      case 'histograms':
        return json(this.#histograms(query))
      case 'media':
        return json(this.#media(query))
      case 'blob':
        return this.#blob(query)
      case 'texts': {
        const { items, seen } = this.#one('text', query).texts.get(this.#tag('text', query))!
        return json({ seen, moments: items.map(({ step, time, text }) => ({ step, time, text })) } satisfies NoteList)
      }
      case 'curves':
        return json(this.#curves(query))
      case 'profiles': {
        const { items, seen } = this.#one('profile', query).profiles.get(this.#tag('profile', query))!
        return json({ seen, moments: items.map(({ step, time }) => ({ step, time })) } satisfies ProfileList)
      }
      case 'slices': {
        const { items } = this.#one('profile', query).profiles.get(this.#tag('profile', query))!
        const step = query.number('step')
        const found = items.find((item) => item.step === step)
        if (!found) throw new BoardError(404, `there is no profile at step ${step}`)
        return json({ slices: found.slices } satisfies ProfileReply)
      }
      case 'graph': {
        const { graph } = this.#run(query)
        if (!graph) throw new BoardError(404, 'this run has no graph')
        return json({ graph })
      }
      case 'trace':
        return this.#trace(query.text('path'))
      case 'system':
        return json({ machine: this.#monitor.machine, samples: this.#monitor.samples })
      default:
        throw new BoardError(404, `there is no /api/${name}`)
    }
  }

  #list(): RunList {
    const runs = [...this.#store.runs.values()].map((run) => ({
      id: run.id,
      name: run.name,
      tags: this.#tags.of(run),
      started: finite(run.started),
      updated: finite(run.updated),
      points: run.points,
      graph: run.graph !== undefined,
      hparams: this.#hparams(run),
      status: run.status,
      problems: Object.fromEntries(run.problems),
    }))
    const { root: folder, traces, bytes: loading, marks } = this.#store
    return { folder, tags: this.#tags.tags, runs, traces: [...traces], marks: marks.marks, marksProblem: marks.problem ?? null, loading }
  }

  /** Keras writes hyperparameters into a run's folder and its curves into folders below. */
  #hparams(run: Run): Hparams | null {
    const parts = run.name === '.' ? [] : run.name.split('/')
    const above = ['.', ...parts.map((_, i) => parts.slice(0, i + 1).join('/'))].map((name) => this.#store.byName(name)?.hparams)
    return above.some((hparams) => hparams) ? Object.assign({}, ...above) : null
  }

  #tag(kind: Kind, query: Query): string {
    const tag = this.#tags.tags[query.id('tag')]
    if (tag?.kind !== kind) throw new BoardError(404, `no ${kind} has the number ${query.id('tag')}`)
    return tag.name
  }

  #run(query: Query): Run {
    const run = this.#store.runs.get(query.id('run'))
    if (!run) throw new BoardError(404, `no run has the number ${query.id('run')}`, 'it may have been deleted')
    return run
  }

  /** The run of the query, which must have its tag. */
  #one(kind: Kind, query: Query): Run {
    const [run, tag] = [this.#run(query), this.#tag(kind, query)]
    if (!run.of(kind).has(tag)) throw new BoardError(404, `the run ${run.name} has no ${kind} ${JSON.stringify(tag)}`)
    return run
  }

  /** Those of the runs asked for that have the tag. */
  #having(kind: Kind, query: Query, ids = query.ids('runs')): Run[] {
    const tag = this.#tag(kind, query)
    const runs = [...ids].map((id) => this.#store.runs.get(id))
    return runs.filter((run) => run !== undefined).filter((run) => run.of(kind).has(tag))
  }

  #table(query: Query): Table {
    const tags = [...query.ids('tags')].map((id) => this.#tags.tags[id]).filter((tag) => tag?.kind === 'scalar')
    const asked = query.has('runs') ? query.ids('runs') : undefined
    const runs = [...this.#store.runs.values()].filter(({ id }) => asked?.has(id) ?? true)
    const rows = runs.map((run) => {
      const metrics: Table['rows'][number]['metrics'] = {}
      for (const tag of tags) {
        const series = run.scalars.get(tag!.name)
        if (series) metrics[tag!.id] = summarise(series)
      }
      return { run: run.id, metrics }
    })
    return { rows }
  }

  #histograms(query: Query): HistogramSeries {
    const { items, seen } = this.#one('histogram', query).histograms.get(this.#tag('histogram', query))!
    const buckets = query.number('buckets', { from: 2, to: 512, otherwise: 64 })
    const common = commonBuckets(
      items.map((item) => item.buckets),
      Math.round(buckets),
    )
    return { seen, steps: items.map(({ step }) => step), times: items.map(({ time }) => time), ...common }
  }

  #mediaOf(query: Query) {
    const kind = query.choice('kind', ['image', 'audio'])
    const run = this.#one(kind, query)
    return (kind === 'image' ? run.images : run.audio).get(this.#tag(kind, query))!
  }

  #media(query: Query): MediaList {
    const { items, seen } = this.#mediaOf(query)
    return { seen, moments: items.map(({ step, time, frames }) => ({ step, time, frames: frames.length })) }
  }

  #blob(query: Query): Reply {
    const [step, frame] = [query.number('step'), query.id('frame')]
    const bytes = this.#mediaOf(query).items.find((moment) => moment.step === step)?.frames[frame]
    if (!bytes) throw new BoardError(404, `there is nothing at step ${step}`, 'it may have been thinned out while the run went on')
    const type = sniffMedia(bytes)
    if (!type) throw new BoardError(415, 'this is in no format that a browser shows: PNG, JPEG, GIF, WebP, BMP, WAV, MP3, Ogg, FLAC')
    // What a step shows may be written again when a run goes on from a checkpoint: the address carries the run's time to say so.
    return { type, body: bytes, headers: { 'Cache-Control': 'private, max-age=3600' } }
  }

  #curves(query: Query): CurveList {
    const tag = this.#tag('curve', query)
    const runs = this.#having('curve', query).map((run) => {
      const { items, seen } = run.curves.get(tag)!
      const moments = items.map(({ step, curve }) => {
        const { precision, recall } = curve
        // What is predicted of nothing is right neither often nor seldom: files have a 0 there.
        const known = Array.from(precision, (_, i) => i).filter((i) => curve.predicted[i]! > 0)
        return { step, precision: known.map((i) => precision[i]!), recall: known.map((i) => recall[i]!) }
      })
      return { run: run.id, seen, moments }
    })
    return { runs }
  }

  async #trace(path: string): Promise<Reply> {
    const file = await containedPath(this.#store.root, path)
    if (!isTrace(file)) throw new BoardError(403, `${JSON.stringify(path)} is not a trace`)
    const headers: Record<string, string> = file.endsWith('.gz') ? { 'Content-Encoding': 'gzip' } : {}
    return { type: 'application/json', body: createReadStream(file), headers }
  }
}

/** NaN and infinity as JSON has them: null. */
const finite = (value: number): number | null => (Number.isFinite(value) ? value : null)

const json = (value: object): Reply => ({ type: 'application/json', body: JSON.stringify(value) })
