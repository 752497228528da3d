import { CotangentError } from '../errors.ts'
import { corruptFile } from '../io/array-record.ts'
import { joinBytes } from '../io/join-bytes.ts'

/** A file or the like. */
export interface ByteSource {
  /** For messages. */
  readonly name: string
  /** The bytes from `offset` (0) on, in pieces of any size. */
  read(offset?: number): AsyncIterable<Uint8Array>
  /** Any part of it; undefined where it can only be gone through from the beginning. */
  readonly parts?: ByteParts
}

export interface ByteParts {
  size(): Promise<number>
  /** Bytes `begin` to `end`, fewer where the file ends before. */
  read(begin: number, end: number): Promise<Uint8Array>
}

/**
 * What bytes can be read from: `fileBytes(path)` of `cotangent/node`, a file that a user chose in the browser, memory, or a stream, which
 * can be gone through once.
 */
export type BytesLike = ByteSource | Blob | Uint8Array | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/** Any of these as a source; one of a stream can be read once. */
export function bytesFrom(bytes: BytesLike): ByteSource {
  if (bytes instanceof Uint8Array) {
    return {
      name: 'bytes',
      async *read(offset = 0) {
        if (offset < bytes.length) yield bytes.subarray(offset)
      },
      parts: { size: async () => bytes.length, read: async (begin, end) => bytes.subarray(begin, end) },
    }
  }
  if (typeof Blob !== 'undefined' && bytes instanceof Blob) {
    return {
      name: (bytes as { name?: string }).name ?? 'blob',
      read: (offset = 0) => chunksOf(bytes.slice(offset).stream()),
      parts: { size: async () => bytes.size, read: async (begin, end) => new Uint8Array(await bytes.slice(begin, end).arrayBuffer()) },
    }
  }
  if ('read' in bytes) return bytes
  const chunks = 'getReader' in bytes ? chunksOf(bytes) : (bytes as AsyncIterable<Uint8Array>)
  return { name: 'stream', read: (offset = 0) => skipping(offset, chunks) }
}

/** What a file compressed with gzip holds. Going on in the middle reads all that is before. */
export function gunzip(bytes: BytesLike): ByteSource {
  const packed = bytesFrom(bytes)
  return {
    name: packed.name,
    read: (offset = 0) =>
      skipping(offset, unpacked(packed.name, chunksOf(streamOf(packed.read()).pipeThrough(new DecompressionStream('gzip'))))),
  }
}

async function* unpacked(name: string, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks
  } catch (error) {
    // Of the file itself.
    if (error instanceof CotangentError) throw error
    throw corruptFile('gunzip', `${name} cannot be unpacked: ${(error as Error).message}`, {
      hint: 'It is no gzip file, or was cut short: fetch or write it again.',
      cause: error,
    })
  }
}

/** All of it in one piece. */
export async function readAll(bytes: BytesLike): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes
  const chunks: Uint8Array[] = []
  for await (const chunk of bytesFrom(bytes).read()) chunks.push(chunk)
  return chunks.length === 1 ? chunks[0]! : joinBytes(chunks)
}

async function* skipping(offset: number, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let skip = offset
  for await (const chunk of chunks) {
    if (skip < chunk.length) yield chunk.subarray(skip)
    skip = Math.max(0, skip - chunk.length)
  }
}

// Not every host can iterate over streams.
async function* chunksOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader()
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    await reader.cancel()
    reader.releaseLock()
  }
}

function streamOf(chunks: AsyncIterable<Uint8Array>): ReadableStream<Uint8Array<ArrayBuffer>> {
  const iterator = chunks[Symbol.asyncIterator]()
  return new ReadableStream({
    async pull(controller) {
      const { done, value } = await iterator.next()
      if (done) controller.close()
      else controller.enqueue(value as Uint8Array<ArrayBuffer>)
    },
    cancel: async () => void (await iterator.return?.()),
  })
}
