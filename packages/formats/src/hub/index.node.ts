// `@cotangent/formats/hub` in Node: with the environment variables of the hub's own tools.
import type { ByteSource } from 'cotangent/data'
import * as anywhere from './index.ts'
import type { HubEntry, HubOptions } from './index.ts'

export type { HubEntry, HubOptions } from './index.ts'

const { HF_TOKEN: token, HF_ENDPOINT: endpoint } = process.env
const defaults: HubOptions = { ...(token && { token }), ...(endpoint && { endpoint }) }

/** See `hubFile` of the browser; `token` and `endpoint` are by default those of the environment. */
export function hubFile(repo: string, path: string, options?: HubOptions): ByteSource {
  return anywhere.hubFile(repo, path, { ...defaults, ...options })
}

/** See `hubFiles` of the browser; `token` and `endpoint` are by default those of the environment. */
export function hubFiles(repo: string, options?: HubOptions & { readonly match?: RegExp }): Promise<HubEntry[]> {
  return anywhere.hubFiles(repo, { ...defaults, ...options })
}
