import { randomUUID } from 'node:crypto'
import { open, readFile, rename, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { CotangentError } from '../errors.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Tree } from '../tree.ts'
import { type CheckpointParts, decodeCheckpoint, encodeCheckpoint } from './checkpoint.ts'
import { loadSafetensors, saveSafetensors } from './state.ts'

/** Saves tensors to a safetensors file; see `saveSafetensors`. The file is there as a whole or, on any failure, as it was before. */
export async function saveFile(path: string, tensors: Tree<Tensor>, metadata: Record<string, string> = {}): Promise<void> {
  await writeWhole(path, await saveSafetensors(tensors, metadata))
}

/** The tensors of a safetensors file by name. */
export async function loadFile(path: string): Promise<Record<string, Tensor>> {
  return loadSafetensors(await readWhole(path))
}

/** Saves parts of a training to one file; see `encodeCheckpoint`. The file is there as a whole or, on any failure, as it was before. */
export async function saveCheckpoint(path: string, parts: CheckpointParts, extra: unknown = {}): Promise<void> {
  await writeWhole(path, await encodeCheckpoint(parts, extra))
}

/** Loads parts of a training from one file and returns the rest; see `decodeCheckpoint`. */
export async function loadCheckpoint<E = Record<string, unknown>>(path: string, parts: CheckpointParts): Promise<E> {
  return decodeCheckpoint<E>(await readWhole(path), parts)
}

/** Writes beside the file, makes sure that the bytes are on the disk, and only then takes the file's place. */
export async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `.${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (cause) {
    await rm(temporary, { force: true })
    throw fileError(path, 'written', cause)
  }
}

/** So that the new name survives a power cut. Windows has no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    return await readFile(path)
  } catch (cause) {
    throw fileError(path, 'read', cause)
  }
}

function fileError(path: string, what: 'read' | 'written', cause: unknown): CotangentError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CotangentError('invalid-argument', {
    message: `${path} cannot be ${what}: ${reason}`,
    hint: 'Check the path, its permissions and the room on the disk.',
    cause,
  })
}
