import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** Adds `samplesPerSecond` and `batchesPerSecond` of the training's batches to the logs; time for validation does not count. */
export class Throughput implements Callback {
  #began = 0
  #paused = 0
  #pauseBegan = 0
  #samples = 0
  #batches = 0

  onEpochStart(training: Training): void {
    this.#began = performance.now()
    this.#paused = 0
    // Of an epoch that goes on from a checkpoint, only what is done here counts.
    this.#samples = training.epochSamples
    this.#batches = training.batch
  }

  onValidationStart(): void {
    this.#pauseBegan = performance.now()
  }

  onValidationEnd(): void {
    this.#paused += performance.now() - this.#pauseBegan
  }

  onEpochEnd(training: Training): void {
    const seconds = (performance.now() - this.#began - this.#paused) / 1000
    if (seconds <= 0) return
    training.log('samplesPerSecond', (training.epochSamples - this.#samples) / seconds)
    training.log('batchesPerSecond', (training.batch - this.#batches) / seconds)
  }
}
