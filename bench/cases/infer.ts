import type { Case, Work } from '../case.ts'

const one = (name: string, work: Work): Case => ({ suite: 'infer', name, unit: 'ms', work })

export const infer: Case[] = [
  one('resnet50-b1', { kind: 'inference', model: 'resnet50', batch: 1, size: 224 }),
  one('mobilenet-v2-b1', { kind: 'inference', model: 'mobilenet-v2', batch: 1, size: 224 }),
  one('bert-base-b1-t128', { kind: 'inference', model: 'bert-base', batch: 1, size: 128 }),
  one('gpt2-small-next-token', { kind: 'next-token', batch: 1, position: 128, capacity: 256 }),
]
