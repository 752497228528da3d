import type {
  CurveList,
  GraphReply,
  GroupCurve,
  HistogramSeries,
  MediaList,
  NoteList,
  ProfileList,
  ProfileReply,
  RunList,
  ScalarCurve,
  SystemReply,
  Table,
} from '../src/board/protocol.ts'
import { unpackCurves, unpackGroups } from '../src/board/scalar-frame.ts'

/** Parameters of an address; those that are undefined are left out. */
type Params = Record<string, string | number | undefined>

export function address(name: string, params: Params = {}): string {
  const search = new URLSearchParams(Object.entries(params).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])))
  return `api/${name}${search.size ? `?${search}` : ''}`
}

async function get(name: string, params: Params, signal?: AbortSignal): Promise<Response> {
  const response = await fetch(address(name, params), { signal: signal ?? null })
  if (response.ok) return response
  const { error, hint } = (await response.json()) as { error: string; hint?: string }
  throw new Error(hint ? `${error}: ${hint}` : error)
}

const json =
  <T>(name: string) =>
  async (params: Params = {}, signal?: AbortSignal): Promise<T> =>
    (await (await get(name, params, signal)).json()) as T

export const fetchRuns = json<RunList>('runs')
export const fetchTable = json<Table>('table')
export const fetchHistograms = json<HistogramSeries>('histograms')
export const fetchMedia = json<MediaList>('media')
export const fetchTexts = json<NoteList>('texts')
export const fetchCurves = json<CurveList>('curves')
export const fetchGraph = json<GraphReply>('graph')
export const fetchProfiles = json<ProfileList>('profiles')
export const fetchSlices = json<ProfileReply>('slices')
export const fetchTrace = json<unknown>('trace')
export const fetchSystem = json<SystemReply>('system')

export async function fetchScalars(params: Params, signal?: AbortSignal): Promise<ScalarCurve[]> {
  return unpackCurves(await (await get('scalars', params, signal)).arrayBuffer())
}

export async function fetchGroups(params: Params, signal?: AbortSignal): Promise<GroupCurve[]> {
  return unpackGroups(await (await get('groups', params, signal)).arrayBuffer())
}
