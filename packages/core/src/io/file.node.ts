import type { Tensor } from '../tensor/tensor.ts'
import type { Tree } from '../tree.ts'
import { type CheckpointParts, checkpointPieces, openCheckpoint } from './checkpoint.ts'
import { nodeHash, nodeHashNow } from './hash.node.ts'
import { loadSafetensors, saveSafetensors } from './state.ts'
import { readWhole, writeWhole } from './whole-file.node.ts'

/** Saves tensors to a safetensors file; see `saveSafetensors`. The file is there as a whole or, on any failure, as it was before. */
export async function saveFile(path: string, tensors: Tree<Tensor>, metadata: Record<string, string> = {}): Promise<void> {
  await writeWhole(path, await saveSafetensors(tensors, metadata))
}

/** The tensors of a safetensors file by name. */
export async function loadFile(path: string): Promise<Record<string, Tensor>> {
  return loadSafetensors(await readWhole(path))
}

/**
 * Saves parts of a training to one file; see `encodeCheckpoint`. The file is there as a whole or, on any failure, as it was before.
 * `CheckpointDirectory` keeps several.
 */
export async function saveCheckpoint(path: string, parts: CheckpointParts, extra: unknown = {}): Promise<void> {
  await writeWhole(path, await checkpointPieces(parts, { extra }, nodeHash))
}

/** Loads parts of a training from one file and returns the rest; see `decodeCheckpoint`. */
export async function loadCheckpoint<E = Record<string, unknown>>(path: string, parts: CheckpointParts): Promise<E> {
  return (await openCheckpoint(await readWhole(path), nodeHashNow)).load(parts) as E
}
