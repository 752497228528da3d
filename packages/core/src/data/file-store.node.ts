import { randomUUID } from 'node:crypto'
import { type FileHandle, mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { corruptFile } from '../io/array-record.ts'
import { decodeCheckpoint, encodeCheckpoint } from '../io/checkpoint.ts'
import { codeOf, ioFailure, readWhole, writeWhole } from '../io/whole-file.node.ts'
import { tensor } from '../op/creation.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { ElementStore, ElementWriter, StoredElements } from './element-store.ts'

/** Which elements on disk still count. */
export interface FileStoreOptions {
  /** Change it when the code of the pipeline's functions changes: elements of another version are made again. */
  readonly version?: string | number
}

interface Index {
  readonly pipeline: string
  readonly version: string
  readonly file: string
  /** Where each element ends in that file, float64. */
  readonly ends: Tensor
}

/**
 * A folder that keeps the elements of a dataset:
 *
 *     dataset.map(decode).cache(new FileStore('cache/train', { version: 2 }))
 *
 * They are there when a whole pass was stored, however often programs were killed before. What a pass stores takes the place of what was
 * there, which is removed, as is what programs left that were killed more than a day ago.
 */
export class FileStore implements ElementStore {
  readonly #folder: string
  readonly #version: string

  constructor(folder: string, { version = '' }: FileStoreOptions = {}) {
    this.#folder = folder
    this.#version = String(version)
  }

  async open(pipeline: string): Promise<StoredElements | undefined> {
    const path = join(this.#folder, 'index')
    let bytes: Uint8Array
    try {
      bytes = await readWhole(path)
    } catch (error) {
      if (codeOf((error as Error).cause) === 'ENOENT') return undefined
      throw error
    }
    const index = await this.#decode(path, bytes)
    if (index.pipeline !== pipeline || index.version !== this.#version) return undefined
    const elements = join(this.#folder, index.file)
    try {
      return new StoredFile(elements, await open(elements), index.ends.dataSync() as Float64Array)
    } catch (cause) {
      // Somebody needed the space, or another program has just stored them anew.
      if (codeOf(cause) === 'ENOENT') return undefined
      throw ioFailure(elements, 'read', cause)
    }
  }

  async create(pipeline: string): Promise<ElementWriter> {
    await guard(this.#folder, 'written', mkdir(this.#folder, { recursive: true }))
    const name = `elements-${randomUUID()}`
    const path = join(this.#folder, name)
    const temporary = `${path}.tmp`
    const file = await guard(temporary, 'written', open(temporary, 'wx'))
    const ends: number[] = []
    let size = 0
    return {
      write: async (element) => {
        await guard(temporary, 'written', file.writeFile(element))
        size += element.length
        ends.push(size)
      },
      finish: async () => {
        await guard(temporary, 'written', file.sync())
        await file.close()
        await guard(path, 'written', rename(temporary, path))
        const index = { pipeline, version: this.#version, file: name, ends: tensor(Float64Array.from(ends)) }
        await writeWhole(join(this.#folder, 'index'), await encodeCheckpoint({}, index))
        await this.#removeOthers(name)
      },
      abandon: async () => {
        await file.close()
        await rm(temporary, { force: true })
      },
    }
  }

  async #decode(path: string, bytes: Uint8Array): Promise<Index> {
    try {
      return await decodeCheckpoint<Index>(bytes, {})
    } catch (cause) {
      throw corruptFile('FileStore', `${path} is not what was written: ${(cause as Error).message.replace(/\.$/, '')}`, {
        hint: `Delete ${this.#folder}: its elements are made again.`,
        cause,
      })
    }
  }

  async #removeOthers(kept: string): Promise<void> {
    const names = await guard(this.#folder, 'read', readdir(this.#folder))
    for (const name of names.filter((other) => other.startsWith('elements-') && other !== kept)) {
      const path = join(this.#folder, name)
      // Windows keeps files that another program reads; the next pass that stores finds them again.
      if (!name.endsWith('.tmp') || (await isOld(path))) await rm(path, { force: true }).catch(() => {})
    }
  }
}

/** Whether nobody can still be writing it. */
async function isOld(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  return found !== undefined && Date.now() - found.mtimeMs > 24 * 3600 * 1000
}

class StoredFile implements StoredElements {
  readonly name: string
  readonly #file: FileHandle
  readonly #ends: Float64Array

  constructor(path: string, file: FileHandle, ends: Float64Array) {
    this.name = path
    this.#file = file
    this.#ends = ends
  }

  get length(): number {
    return this.#ends.length
  }

  async read(index: number): Promise<Uint8Array> {
    const start = this.#ends[index - 1] ?? 0
    const bytes = new Uint8Array(this.#ends[index]! - start)
    const { bytesRead } = await guard(this.name, 'read', this.#file.read(bytes, 0, bytes.length, start))
    if (bytesRead === bytes.length) return bytes
    throw corruptFile('FileStore', `${this.name} ends inside of element ${index}`, {
      hint: 'Delete the folder: its elements are made again.',
    })
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}

async function guard<T>(path: string, what: 'read' | 'written', attempt: Promise<T>): Promise<T> {
  try {
    return await attempt
  } catch (cause) {
    throw ioFailure(path, what, cause)
  }
}
