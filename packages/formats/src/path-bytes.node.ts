import { open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ioFailure } from 'cotangent/node'
import type { Bytes, ByteSource } from './bytes.ts'

/** In Node, anything that gives bytes may be the path of a file. */
export type PathOrBytes = string | URL | ByteSource

const chunkBytes = 2 ** 18

export function pathBytes(path: string | URL): Bytes {
  const name = path instanceof URL ? fileURLToPath(path) : path
  const opened = async () => {
    try {
      return await open(name, 'r')
    } catch (cause) {
      throw ioFailure(name, 'read', cause)
    }
  }
  return {
    name,
    async *pieces(start = 0) {
      const file = await opened()
      try {
        for (let at = start; ;) {
          const { bytesRead, buffer } = await file.read(new Uint8Array(chunkBytes), 0, chunkBytes, at).catch((cause: unknown) => {
            throw ioFailure(name, 'read', cause)
          })
          if (bytesRead === 0) return
          at += bytesRead
          yield buffer.subarray(0, bytesRead)
        }
      } finally {
        await file.close()
      }
    },
    parts: {
      size: () => using(opened, async (file) => (await file.stat()).size),
      read: (begin, end) =>
        using(opened, async (file) => {
          const into = new Uint8Array(Math.max(0, Math.min(end, (await file.stat()).size) - begin))
          const { bytesRead } = await file.read(into, 0, into.length, begin)
          return into.subarray(0, bytesRead)
        }),
    },
  }
}

export function sourceOf(source: PathOrBytes): ByteSource {
  return typeof source === 'string' || source instanceof URL ? pathBytes(source) : source
}

async function using<F extends { close(): Promise<void> }, T>(opened: () => Promise<F>, use: (file: F) => Promise<T>): Promise<T> {
  const file = await opened()
  try {
    return await use(file)
  } finally {
    await file.close()
  }
}
