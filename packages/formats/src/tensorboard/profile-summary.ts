import type { Profile } from 'cotangent'
import type { ProfileSlice } from './event.ts'
import { RunMetadata, XSpace } from './schema.ts'

type Slices = Profile['slices']

/** Lanes of a profile from the outside in: a slice of a later kind lies in those of an earlier one. */
const lanes = ['scope', 'compiled', 'op', 'kernel'] as const

/** The profile as RunMetadata: a device a kind of slice, threads by how deep slices lie in one another. */
export function encodeRunMetadata(slices: Slices): Uint8Array {
  const devStats = lanes.flatMap((lane) => {
    const nodeStats = slices
      .filter(({ kind }) => kind === lane)
      .map(({ name, start, ms, depth }) => {
        const micros = Math.round(ms * 1e3)
        const nanos = Math.round(ms * 1e6)
        return {
          nodeName: name,
          timelineLabel: name,
          threadId: depth,
          allStartMicros: Math.round(start * 1e3),
          allStartNanos: Math.round(start * 1e6),
          opStartRelMicros: 0,
          opEndRelMicros: micros,
          allEndRelMicros: micros,
          opEndRelNanos: nanos,
          allEndRelNanos: nanos,
        }
      })
    return nodeStats.length ? [{ device: `/host:CPU/${lane}`, nodeStats }] : []
  })
  return RunMetadata.encode({ stepStats: { devStats } })
}

/** Slices of any RunMetadata, TensorFlow's too. */
export function readRunMetadata(bytes: Uint8Array): ProfileSlice[] {
  const devices = RunMetadata.decode(bytes).stepStats?.devStats ?? []
  return devices.flatMap(({ device = '', nodeStats }) =>
    nodeStats.map((node) => ({
      name: node.nodeName ?? '',
      label: node.timelineLabel ?? '',
      device,
      thread: node.threadId ?? 0,
      start: node.allStartNanos ? node.allStartNanos / 1e6 : (node.allStartMicros ?? 0) / 1e3,
      ms: node.allEndRelNanos ? node.allEndRelNanos / 1e6 : (node.allEndRelMicros ?? 0) / 1e3,
    })),
  )
}

/** The profile as an XSpace, which TensorBoard's profile plugin opens. */
export function encodeXSpace(slices: Slices, host: string, startedAt: number): Uint8Array {
  const ids = new Map<string, number>()
  const idOf = (name: string) => ids.get(name) ?? (ids.set(name, ids.size + 1), ids.size)
  const lines = lanes.flatMap((lane, i) => {
    const events = slices
      .filter(({ kind }) => kind === lane)
      .map(({ name, start, ms }) => ({ metadataId: idOf(name), offsetPs: Math.round(start * 1e9), durationPs: Math.round(ms * 1e9) }))
    return events.length ? [{ id: i + 1, name: lane, timestampNs: Math.round(startedAt * 1e6), events }] : []
  })
  const eventMetadata = [...ids].map(([name, id]) => ({ key: id, value: { id, name, displayName: name } }))
  return XSpace.encode({ planes: [{ id: 1, name: '/host:CPU', lines, eventMetadata }], hostnames: [host] })
}
