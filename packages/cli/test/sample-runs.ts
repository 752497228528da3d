import { join } from 'node:path'
import { EventFileWriter } from '@cotangent/formats/tensorboard'

/** Numbers from 0 to 1 that are the same every time (mulberry32). */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface SampleOptions {
  runs: number
  /** Points of each tag. */
  points: number
  tags?: readonly string[]
  /** Seconds since 1970 at which the first run began. */
  started?: number
  secondsPerStep?: number
}

/** What training curves look like: they fall, steeply first, noisily, and each settles elsewhere. */
export function sampleLoss(random: () => number, points: number): (i: number) => number {
  const floor = 0.05 + 0.4 * random()
  const steep = 3 + 9 * random()
  return (i) => floor + 2.2 / (1 + (steep * i * 40) / points) + 0.06 * (random() - 0.5)
}

/** Writes runs with scalars, as a training loop would. Returns the names of their folders. */
export async function writeSampleRuns(folder: string, options: SampleOptions): Promise<string[]> {
  const { runs, points, tags = ['train/loss'], started = Date.now() / 1000 - 86_400, secondsPerStep = 0.5 } = options
  const names = Array.from({ length: runs }, (_, i) => `run-${String(i).padStart(String(runs - 1).length, '0')}`)
  for (const [r, name] of names.entries()) {
    const random = randomNumbers(r + 1)
    const writer = new EventFileWriter(join(folder, name), { maxQueue: 1000 })
    for (const tag of tags) {
      const value = sampleLoss(random, points)
      for (let i = 0; i < points; i++) {
        const v = value(i)
        writer.scalar(tag, tag.includes('accuracy') ? 1 - v / 3 : v, i, { wallTime: started + r * 60 + i * secondsPerStep })
      }
    }
    await writer.close()
  }
  return names
}
