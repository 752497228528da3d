import type { CheckpointParts } from '../io/checkpoint.ts'

/** What is known of a checkpoint without loading it. */
export interface CheckpointEntry {
  readonly name: string
  /** Steps of training that it is the result of. */
  readonly step: number
  readonly metrics: Readonly<Record<string, number>>
}

/** The checkpoint that was loaded. */
export interface RestoredCheckpoint<E = Record<string, unknown>> extends CheckpointEntry {
  /** What `save` was given as `extra`; an empty object if nothing. */
  readonly extra: E
}

/** What is known of a checkpoint besides its parts. */
export interface CheckpointSaveOptions {
  /** Steps of training so far: checkpoints are ordered by it. */
  readonly step: number
  /** What the best are chosen by, e.g. `{ valLoss: 0.31 }`. */
  readonly metrics?: Readonly<Record<string, number>>
  /** Tensors, numbers, texts and the like in plain objects and arrays. */
  readonly extra?: unknown
}

/** Where a training's checkpoints are: a directory (`CheckpointDirectory` of `cotangent/node`), or storage of yours. */
export interface CheckpointStore {
  /**
   * Saves the state that the parts have at the time of the call: it is copied before `save` returns, so that training may go on at
   * once, while the copy is being written.
   *
   * @returns The name of the checkpoint, once it is safe. Saves that are under way at the same time finish in order.
   */
  save(parts: CheckpointParts, options: CheckpointSaveOptions): Promise<string>
  /**
   * Loads the parts of a checkpoint: of the latest (default) or best one that is whole, or of one by name.
   *
   * @returns Null where there is none, and then nothing is loaded.
   */
  restore<E = Record<string, unknown>>(
    parts: CheckpointParts,
    which?: 'latest' | 'best' | (string & {}),
  ): Promise<RestoredCheckpoint<E> | null>
  /** The checkpoints, oldest step first. */
  list(): Promise<readonly CheckpointEntry[]>
}
