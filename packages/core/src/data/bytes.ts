/** A file or the like: bytes that can be read from any place on. */
export interface ByteSource {
  /** For messages. */
  readonly name: string
  /** The bytes from `offset` on, in pieces of any size. */
  read(offset: number): AsyncIterable<Uint8Array>
}

/** What bytes can be read from: `fileBytes(path)` of `cotangent/node`, a file that a user chose in the browser, or memory. */
export type BytesLike = ByteSource | Blob | Uint8Array

export function bytesFrom(bytes: BytesLike): ByteSource {
  if (bytes instanceof Uint8Array) {
    return {
      name: 'bytes',
      async *read(offset) {
        if (offset < bytes.length) yield bytes.subarray(offset)
      },
    }
  }
  if (typeof Blob === 'undefined' || !(bytes instanceof Blob)) return bytes as ByteSource
  return { name: (bytes as { name?: string }).name ?? 'blob', read: (offset) => chunksOf(bytes.slice(offset).stream()) }
}

/** What a file compressed with gzip holds. Going on in the middle reads all that is before. */
export function gunzip(bytes: BytesLike): ByteSource {
  const packed = bytesFrom(bytes)
  return {
    name: packed.name,
    async *read(offset) {
      let skip = offset
      for await (const chunk of chunksOf(streamOf(packed.read(0)).pipeThrough(new DecompressionStream('gzip')))) {
        if (skip < chunk.length) yield chunk.subarray(skip)
        skip = Math.max(0, skip - chunk.length)
      }
    },
  }
}

/** All of it in one piece. */
export async function readAll(bytes: BytesLike): Promise<Uint8Array> {
  if (bytes instanceof Uint8Array) return bytes
  const chunks: Uint8Array[] = []
  for await (const chunk of bytesFrom(bytes).read(0)) chunks.push(chunk)
  const whole = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
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
