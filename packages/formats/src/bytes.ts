/** Bytes wherever they come from: at hand, a file of the browser, a stream (which can be gone through once), or a file (see `Bytes`). */
export type ByteSource = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array> | Bytes

/** A file. */
export interface Bytes {
  /** For messages. */
  readonly name: string
  /** The bytes from `start` on, in pieces. Undefined `start` is the beginning; streams know no other. */
  pieces(start?: number): AsyncIterable<Uint8Array>
  /** Any part of it; undefined where it can only be read from the beginning. */
  readonly parts?: Parts
}

export interface Parts {
  size(): Promise<number>
  /** Bytes `begin` to `end`, fewer where the file ends before. */
  read(begin: number, end: number): Promise<Uint8Array>
}

export function bytesFrom(source: ByteSource): Bytes {
  if (source instanceof Uint8Array) {
    return {
      name: 'the bytes',
      async *pieces(start = 0) {
        yield source.subarray(start)
      },
      parts: { size: async () => source.length, read: async (begin, end) => source.subarray(begin, end) },
    }
  }
  if (source instanceof Blob) {
    return {
      name: 'name' in source && typeof source.name === 'string' ? source.name : 'the file',
      pieces: (start = 0) => streamPieces(source.slice(start).stream()),
      parts: { size: async () => source.size, read: async (begin, end) => new Uint8Array(await source.slice(begin, end).arrayBuffer()) },
    }
  }
  if (source instanceof ReadableStream) return { name: 'the stream', pieces: () => streamPieces(source) }
  return 'pieces' in source ? source : { name: 'the stream', pieces: () => source }
}

/** All of it in one piece. */
export async function wholeOf({ pieces }: Bytes): Promise<Uint8Array> {
  const all: Uint8Array[] = []
  for await (const piece of pieces()) all.push(piece)
  return all.length === 1 ? all[0]! : joinBytes(all)
}

export function joinBytes(pieces: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(pieces.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const piece of pieces) {
    all.set(piece, at)
    at += piece.length
  }
  return all
}

/** Safari's streams cannot be iterated. */
async function* streamPieces(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const reader = stream.getReader()
  let done = false
  try {
    for (;;) {
      const next = await reader.read()
      done = next.done
      if (next.done) return
      yield next.value
    }
  } finally {
    if (!done) await reader.cancel()
    reader.releaseLock()
  }
}
