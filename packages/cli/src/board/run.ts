import type { Buckets, Curve, Graph, Hparams, Kind, RunEvent, Slice, Status, TagWords } from './run-event.ts'
import { Series } from './series.ts'
import { Thinned } from './thinned.ts'

interface Moment {
  step: number
  time: number
}

interface Histogram extends Moment {
  buckets: Buckets
}
interface Media extends Moment {
  frames: readonly Uint8Array[]
}
interface Note extends Moment {
  text: string
}
interface CurveAt extends Moment {
  curve: Curve
}

interface ProfileAt extends Moment {
  slices: readonly Slice[]
}

/** How many moments of each kind are kept a tag: enough for a picture or a slider; scalars are all kept. */
const limits = { histogram: 400, media: 64, text: 256, curve: 128, profile: 16 }

/** All that is known of one run: a folder with event files. */
export class Run {
  readonly id: number
  /** The folder, from the one that is watched, with `/`; `.` for that one itself. */
  readonly name: string
  readonly scalars = new Map<string, Series>()
  readonly histograms = new Map<string, Thinned<Histogram>>()
  readonly images = new Map<string, Thinned<Media>>()
  readonly audio = new Map<string, Thinned<Media>>()
  readonly texts = new Map<string, Thinned<Note>>()
  readonly curves = new Map<string, Thinned<CurveAt>>()
  readonly profiles = new Map<string, Thinned<ProfileAt>>()
  graph: Graph | undefined
  hparams: Hparams | undefined
  status: Status = 'unknown'
  /** By tag, where the writer said something. */
  readonly words = new Map<string, TagWords>()
  /** Time of the first and of the latest event, in seconds since 1970. */
  started = Infinity
  updated = -Infinity
  /** Why a file could not be read further, by file. */
  readonly problems = new Map<string, string>()

  constructor(id: number, name: string) {
    this.id = id
    this.name = name
  }

  add(event: RunEvent): void {
    const { step, time } = event
    if (time < this.started) this.started = time
    if (time > this.updated) this.updated = time
    if ('words' in event && event.words) this.words.set(event.tag, event.words)
    switch (event.kind) {
      case 'scalar':
        return at(this.scalars, event.tag, () => new Series()).add(step, time, event.value)
      case 'histogram':
        return at(this.histograms, event.tag, () => new Thinned(limits.histogram)).add({ step, time, buckets: event.buckets })
      case 'image':
      case 'audio': {
        const series = event.kind === 'image' ? this.images : this.audio
        return at(series, event.tag, () => new Thinned(limits.media)).add({ step, time, frames: event.frames })
      }
      case 'text':
        return at(this.texts, event.tag, () => new Thinned(limits.text)).add({ step, time, text: event.text })
      case 'curve':
        return at(this.curves, event.tag, () => new Thinned(limits.curve)).add({ step, time, curve: event.curve })
      case 'profile':
        return at(this.profiles, event.tag, () => new Thinned(limits.profile)).add({ step, time, slices: event.slices })
      case 'graph':
        this.graph = event.graph
        return undefined
      case 'hparams':
        this.hparams = { ...this.hparams, ...event.values }
        return undefined
      case 'status':
        this.status = event.status
        return undefined
    }
  }

  /** The series of a kind, by tag. */
  of(kind: Kind): ReadonlyMap<string, unknown> {
    const { scalars, histograms, images, audio, texts, curves, profiles } = this
    return { scalar: scalars, histogram: histograms, image: images, audio, text: texts, curve: curves, profile: profiles }[kind]
  }

  /** How many scalar points it holds. */
  get points(): number {
    let points = 0
    for (const series of this.scalars.values()) points += series.length
    return points
  }
}

function at<T>(map: Map<string, T>, tag: string, make: () => T): T {
  let found = map.get(tag)
  if (found === undefined) map.set(tag, (found = make()))
  return found
}
