import { expect } from 'vitest'
import { decodeCheckpoint, encodeCheckpoint } from '../../io/checkpoint.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { mapTree } from '../../tree.ts'
import type { Dataset } from '../dataset.ts'

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** Values that tests can compare. */
export const plain = (value: unknown): unknown => mapTree(value, isTensor, (t) => ({ dtype: t.dtype, values: t.toArray() }))

export async function elementsOf(dataset: Dataset<unknown>): Promise<unknown[]> {
  const elements: unknown[] = []
  for await (const value of dataset) elements.push(plain(value))
  return elements
}

/**
 * Holds what a pipeline gives when it goes on from a checkpoint, at every position of two epochs, to what it gives uninterrupted.
 *
 * @param make Builds the pipeline anew, as another process would.
 */
export async function expectResumes(make: () => Dataset<unknown>, { every = 1 } = {}): Promise<void> {
  const whole = make()
  const expected = [await elementsOf(whole), await elementsOf(whole), await elementsOf(whole)]
  expect(expected[0]!.length).toBeGreaterThan(0)
  const seed = whole.stateDict().seed
  for (const epoch of [0, 1]) {
    for (let position = 0; position <= expected[epoch]!.length; position += every) {
      const interrupted = startedWith(make(), seed)
      for (let i = 0; i < epoch; i++) await elementsOf(interrupted)
      const files: Uint8Array[] = []
      if (position === 0) files.push(await encodeCheckpoint({ interrupted }))
      let seen = 0
      if (position > 0) {
        for await (const _ of interrupted) {
          if (++seen < position) continue
          files.push(await encodeCheckpoint({ interrupted }))
          break
        }
        // What was left says the same.
        files.push(await encodeCheckpoint({ interrupted }))
      }
      for (const file of files) {
        const resumed = make()
        await decodeCheckpoint(file, { interrupted: resumed })
        const rest = [await elementsOf(resumed), await elementsOf(resumed)]
        expect(rest, `from ${position} of epoch ${epoch}`).toEqual([expected[epoch]!.slice(position), expected[epoch + 1]])
      }
    }
  }
}

function startedWith(dataset: Dataset<unknown>, seed: bigint): Dataset<unknown> {
  dataset.loadStateDict({ ...dataset.stateDict(), seed })
  return dataset
}

/** Answers after a turn of the event loop or some. */
export function slowly<T>(value: T, turns = 1): Promise<T> {
  return new Promise((done) => {
    const wait = (left: number): unknown => (left === 0 ? done(value) : setImmediate(wait, left - 1))
    wait(turns)
  })
}
