import type { Case } from '../case.ts'
import { photoFolder } from '../photos.ts'

export const data: Case[] = [
  { suite: 'data', name: 'augment-256-photos', unit: 'ms', work: { kind: 'pictures', folder: photoFolder, batch: 32, workers: 2 } },
]
