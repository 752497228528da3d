import type { BytesLike } from 'cotangent/data'
import { fileBytes } from 'cotangent/node'

/** In Node, anything that gives bytes may be the path of a file. */
export type PathOrBytes = string | URL | BytesLike

export function sourceOf(source: PathOrBytes): BytesLike {
  return typeof source === 'string' || source instanceof URL ? fileBytes(source) : source
}
