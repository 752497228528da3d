import { type FileHandle, open } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { ioFailure } from '../io/whole-file.node.ts'
import type { ByteSource } from './bytes.ts'

/** How a file's bytes are read, piece by piece. */
export interface FileBytesOptions {
  /** Bytes read at a time; default 256 KiB. */
  readonly chunkBytes?: number
}

/** Bytes asked for where a file should have ended; it may have grown. */
const endRoom = 64

/** A file, for `textLines`, `jsonLines`, `readIdx` and the readers of `@cotangent/formats`. It is opened when a pass begins. */
export function fileBytes(path: string | URL, { chunkBytes = 2 ** 18 }: FileBytesOptions = {}): ByteSource {
  const name = path instanceof URL ? fileURLToPath(path) : path
  const failed = (cause: unknown): never => {
    throw ioFailure(name, 'read', cause)
  }
  const opened = async <T>(use: (file: FileHandle) => Promise<T>): Promise<T> => {
    const file = await open(name).catch(failed)
    try {
      return await use(file).catch(failed)
    } finally {
      await file.close()
    }
  }
  return {
    name,
    async *read(offset = 0) {
      const file = await open(name).catch(failed)
      try {
        const { size } = await file.stat().catch(failed)
        for (let at = offset; ;) {
          // A buffer of its own each time: lines and records are views of it. What is left of a small file, and room to see its end.
          const room = size > 0 ? Math.min(chunkBytes, Math.max(size - at, endRoom)) : chunkBytes
          const { bytesRead, buffer } = await file.read(new Uint8Array(room), 0, room, at).catch(failed)
          if (bytesRead === 0) return
          at += bytesRead
          yield buffer.subarray(0, bytesRead)
        }
      } finally {
        await file.close()
      }
    },
    parts: {
      size: () => opened(async (file) => (await file.stat()).size),
      read: (begin, end) =>
        opened(async (file) => {
          const into = new Uint8Array(Math.max(0, Math.min(end, (await file.stat()).size) - begin))
          const { bytesRead } = await file.read(into, 0, into.length, begin)
          return into.subarray(0, bytesRead)
        }),
    },
  }
}
