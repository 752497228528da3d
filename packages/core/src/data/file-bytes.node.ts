import { open } from 'node:fs/promises'
import { ioFailure } from '../io/whole-file.node.ts'
import type { ByteSource } from './bytes.ts'

export interface FileBytesOptions {
  /** Bytes read at a time; default 256 KiB. */
  readonly chunkBytes?: number
}

/** A file, for `textLines`, `jsonLines`, `readIdx` and the readers of `@cotangent/formats`. It is opened when a pass begins. */
export function fileBytes(path: string, { chunkBytes = 2 ** 18 }: FileBytesOptions = {}): ByteSource {
  return {
    name: path,
    async *read(offset) {
      const failed = (cause: unknown): never => {
        throw ioFailure(path, 'read', cause)
      }
      const file = await open(path).catch(failed)
      try {
        for (let at = offset; ;) {
          // A buffer of its own each time: lines and records are views of it.
          const { bytesRead, buffer } = await file.read(new Uint8Array(chunkBytes), 0, chunkBytes, at).catch(failed)
          if (bytesRead === 0) return
          at += bytesRead
          yield buffer.subarray(0, bytesRead)
        }
      } finally {
        await file.close()
      }
    },
  }
}
