import { CotangentError } from '../errors.ts'
import { corruptFile, quoteName, viewBytes } from './array-record.ts'
import { joinBytes } from './join-bytes.ts'
import { headBytes } from './safetensors.ts'

/**
 * The whole-file digest of a safetensors file: the metadata's `digest` is the SHA-256 of all bytes of the file, taken while its own
 * 64 digits are zeros. So one file says of itself whether it is whole, and any program that knows safetensors still reads it.
 */
export const digestPlaceholder = /* @__PURE__ */ '0'.repeat(64)

/** SHA-256 of pieces one after the other, as 64 hexadecimal digits. The pieces may be lent elsewhere and come back as others. */
export type Hash = (pieces: readonly Uint8Array[]) => Promise<{ readonly digest: string; readonly pieces: readonly Uint8Array[] }>

/** The hash of every host that has Web Crypto, off the calling thread. It joins the pieces. */
export const webHash: Hash = async (pieces) => {
  // Pages without https have no `subtle`.
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined
  if (!subtle) {
    throw new CotangentError('unsupported', {
      op: 'checkpoint',
      message: 'this page has no crypto.subtle, which makes the digest of a checkpoint',
      hint: 'Serve it over https, or from localhost.',
    })
  }
  const bytes = new Uint8Array(await subtle.digest('SHA-256', joinBytes(pieces)))
  return { digest: Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(''), pieces }
}

/** Fills in the digest of a file whose metadata has the placeholder. The first piece must be the header. */
export async function sealPieces(pieces: readonly Uint8Array[], hash: Hash): Promise<readonly Uint8Array[]> {
  const at = digestOffset(pieces[0]!, digestPlaceholder)
  const sealed = await hash(pieces)
  sealed.pieces[0]!.set(new TextEncoder().encode(sealed.digest), at)
  return sealed.pieces
}

/**
 * Checks a file against the digest in its metadata.
 *
 * @throws {CotangentError} `corrupt-file` where they differ.
 */
export async function checkSeal(file: Uint8Array, digest: string | undefined, hash: Hash): Promise<void> {
  if (!digest || !/^[0-9a-f]{64}$/.test(digest)) throw corruptFile('checkpoint', `the digest ${quoteName(String(digest))} is none`)
  const at = digestOffset(viewBytes(file, 0, headBytes(file)), digest)
  const zeros = new TextEncoder().encode(digestPlaceholder)
  const actual = await hash([viewBytes(file, 0, at), zeros, viewBytes(file, at + zeros.length)])
  if (actual.digest !== digest)
    throw corruptFile('checkpoint', 'the file is not what was written: its bytes do not have the digest that it states')
}

/** Quotes within JSON strings are escaped, so this finds the metadata's key and nothing else. */
function digestOffset(head: Uint8Array, digest: string): number {
  const key = '"digest":"'
  // One character a byte, whatever is in it. A copy, because browsers refuse to decode shared memory.
  const at = new TextDecoder('latin1').decode(new Uint8Array(head)).indexOf(`${key}${digest}"`)
  if (at < 0) throw corruptFile('checkpoint', 'the digest is not where it was written')
  return at + key.length
}
