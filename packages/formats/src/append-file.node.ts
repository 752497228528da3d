import { close, fdatasync, ftruncateSync, mkdirSync, openSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { promisify } from 'node:util'
import { ioFailure } from 'cotangent/node'

/** A new file that is only ever appended to, a whole piece at a time, without waiting: for logs that are to survive their process. */
export class AppendFile {
  readonly path: string
  readonly #file: number
  #size: number

  /** @param size Bytes of a file that is there, behind which it goes on; without it, the file must be new. */
  constructor(path: string, size?: number) {
    this.path = path
    this.#size = size ?? 0
    this.#file = this.#attempt(() => {
      mkdirSync(dirname(path), { recursive: true })
      const file = openSync(path, size === undefined ? 'ax' : 'a')
      if (size !== undefined) ftruncateSync(file, size)
      return file
    })
  }

  /** @throws CotangentError `io-failure`; the file is then as it was before. */
  append(bytes: Uint8Array): void {
    this.#attempt(() => {
      try {
        for (let done = 0; done < bytes.length;) done += writeSync(this.#file, bytes, done)
      } catch (cause) {
        // Half a piece would hide or spoil what follows it.
        ftruncateSync(this.#file, this.#size)
        throw cause
      }
      this.#size += bytes.length
    })
  }

  /** Resolves when what was appended is on the disk. */
  async flush(): Promise<void> {
    await promisify(fdatasync)(this.#file)
  }

  async close(): Promise<void> {
    await promisify(close)(this.#file)
  }

  #attempt<T>(action: () => T): T {
    try {
      return action()
    } catch (cause) {
      throw ioFailure(this.path, 'written', cause)
    }
  }
}
