/** Bytes wherever they come from: at hand, a file of the browser, or a stream. */
export type ByteSource = Uint8Array | Blob | ReadableStream<Uint8Array> | AsyncIterable<Uint8Array>

/** The bytes in pieces, none of them empty. */
export async function* piecesOf(source: ByteSource): AsyncGenerator<Uint8Array, void, undefined> {
  if (source instanceof Uint8Array) {
    if (source.length) yield source
    return
  }
  for await (const piece of source instanceof Blob
    ? streamPieces(source.stream())
    : source instanceof ReadableStream
      ? streamPieces(source)
      : source) {
    if (piece.length) yield piece
  }
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
