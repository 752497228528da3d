import { CotangentError } from 'cotangent'

/** `auto` looks at the first bytes. */
export type Compression = 'auto' | 'none' | 'gzip' | 'zlib'

/** Undoes compression with the host's own decompressor, piece by piece. */
export async function* inflate(
  pieces: AsyncIterable<Uint8Array>,
  kind: 'gzip' | 'zlib',
  name: string,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { writable, readable } = new DecompressionStream(kind === 'zlib' ? 'deflate' : 'gzip')
  const iterator = pieces[Symbol.asyncIterator]()
  let failure: unknown
  const feed = async () => {
    const writer = writable.getWriter()
    try {
      for (let next = await iterator.next(); !next.done; next = await iterator.next())
        await writer.write(next.value as Uint8Array<ArrayBuffer>)
      await writer.close()
    } catch (error) {
      failure ??= error
      await writer.abort(error).catch(() => {})
    }
  }
  const fed = feed()
  const reader = readable.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } catch (cause) {
    // What went wrong with reading the file is no fault of its contents.
    if (failure instanceof CotangentError) throw failure
    throw new CotangentError('corrupt-file', {
      message: `${name} is compressed with ${kind}, but damaged or cut short`,
      hint: 'Fetch or write the file again.',
      cause,
    })
  } finally {
    await reader.cancel().catch(() => {})
    await fed
    await iterator.return?.()
  }
}

/** The first bytes, `count` of them if there are as many, and all pieces, those included. */
export async function peek(
  pieces: AsyncIterable<Uint8Array>,
  count: number,
): Promise<{ first: Uint8Array; pieces: AsyncIterable<Uint8Array> }> {
  const iterator = pieces[Symbol.asyncIterator]()
  const seen: Uint8Array[] = []
  let length = 0
  while (length < count) {
    const { done, value } = await iterator.next()
    if (done) break
    seen.push(value)
    length += value.length
  }
  const first = new Uint8Array(length)
  let at = 0
  for (const piece of seen) {
    first.set(piece, at)
    at += piece.length
  }
  async function* all() {
    try {
      yield* seen
      yield* { [Symbol.asyncIterator]: () => iterator }
    } finally {
      await iterator.return?.()
    }
  }
  return { first: first.subarray(0, count), pieces: all() }
}

export const isGzip = (bytes: Uint8Array): boolean => bytes[0] === 0x1f && bytes[1] === 0x8b && bytes[2] === 8
