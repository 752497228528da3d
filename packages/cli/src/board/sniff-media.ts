/** Media types by how their files begin. SVG is left out on purpose: it may hold scripts. */
const signatures: readonly [type: string, bytes: string, at?: number][] = [
  ['image/png', '\x89PNG\r\n\x1a\n'],
  ['image/jpeg', '\xff\xd8\xff'],
  ['image/gif', 'GIF8'],
  ['image/webp', 'WEBP', 8],
  ['image/bmp', 'BM'],
  ['audio/wav', 'WAVE', 8],
  ['audio/mpeg', 'ID3'],
  ['audio/mpeg', '\xff\xfb'],
  ['audio/ogg', 'OggS'],
  ['audio/flac', 'fLaC'],
]

/** The media type of an encoded picture or sound, from its first bytes; undefined for anything else. */
export function sniffMedia(bytes: Uint8Array): string | undefined {
  const found = signatures.find(([, signature, at = 0]) => [...signature].every((c, i) => bytes[at + i] === c.charCodeAt(0)))
  return found?.[0]
}
