import type { Logs } from './metric-set.ts'

/** What an epoch gave. */
export interface EpochRecord {
  /** From 1. */
  readonly epoch: number
  /** Steps of the optimiser by its end, from the beginning of the training. */
  readonly step: number
  readonly seconds: number
  readonly logs: Logs
}

/** What each epoch gave. */
export class History {
  #epochs: EpochRecord[] = []

  /** The epochs so far, in order. */
  get epochs(): readonly EpochRecord[] {
    return this.#epochs
  }

  /** Losses and metrics of the last epoch; empty before the first. */
  get last(): Logs {
    return this.#epochs.at(-1)?.logs ?? {}
  }

  /** The values of one metric, epoch by epoch, those that have it. */
  values(name: string): number[] {
    return this.#epochs.flatMap(({ logs }) => (name in logs ? [logs[name]!] : []))
  }

  /** Enters an epoch; one that went on after it was stopped takes its place. */
  push(record: EpochRecord): void {
    this.#epochs = [...this.#epochs.filter(({ epoch }) => epoch < record.epoch), record]
  }

  /** For `JSON.stringify`: the epochs. */
  toJSON(): readonly EpochRecord[] {
    return this.#epochs
  }

  stateDict(): readonly EpochRecord[] {
    return this.#epochs
  }

  loadStateDict(epochs: readonly EpochRecord[]): void {
    this.#epochs = [...epochs]
  }
}
