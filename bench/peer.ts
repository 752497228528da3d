import type { Kind, Work, WorkOf } from './case.ts'

export interface PeerOptions {
  /** Engine of ours; peers have the one in their name. */
  engine: string
  threads: number
  /** How training steps of ours run. */
  mode: 'eager' | 'compiled'
}

export interface PeerFacts {
  version: string
  /** Threads that it really uses: some peers have one only. */
  threads: number
}

/** A case made ready: inputs and weights exist, and `step` does it once. */
export interface Prepared {
  step(): void | Promise<void>
  /** Seconds of so many steps, from a peer that has a clock of its own: a message to another process takes as long as a small op. */
  time?(iterations: number): Promise<number>
  /** Waits for whatever `step` left pending; inside the timed span. */
  finish?(): void | Promise<void>
  dispose?(): void
}

/** How one kind of work is made ready; an exhaustive map, so that a new kind is a type error until every peer knows it. */
type Builders = { [K in Kind]: (work: WorkOf<K>) => Prepared | Promise<Prepared> }

/** Work that takes the published models. */
export type ModelKind = 'inference' | 'next-token' | 'model-training'

/** A JavaScript peer for these kinds of work: the default export of `peers/NAME.ts`, which runs in its own process (see host.ts). */
export interface Peer<K extends Kind = Kind> {
  open(options: PeerOptions): Promise<PeerFacts>
  builders: Pick<Builders, K>
}

/** Thrown by a builder when the peer has no such thing; the row is then skipped with this reason. */
export class Unsupported extends Error {
  override readonly name = 'Unsupported'
}

/** Deterministic, roughly standard normal numbers (sum of four uniforms from a linear congruential generator). */
export function randomNormal(size: number, scale = 1, seed = 1): Float32Array {
  const values = new Float32Array(size)
  let state = seed >>> 0
  for (let i = 0; i < size; i++) {
    let sum = 0
    for (let j = 0; j < 4; j++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0
      sum += state / 2 ** 32
    }
    values[i] = (sum - 2) * Math.sqrt(3) * scale
  }
  return values
}

/** Class numbers `0 <= label < classes`. */
export function labels(size: number, classes: number): Int32Array {
  return Int32Array.from({ length: size }, (_, i) => (i * 7) % classes)
}

export async function build(builders: Partial<Builders>, work: Work): Promise<Prepared> {
  const builder = builders[work.kind] as ((work: Work) => Prepared | Promise<Prepared>) | undefined
  if (!builder) throw new Unsupported(`has no ${work.kind}`)
  return builder(work)
}
