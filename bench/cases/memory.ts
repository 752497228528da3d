import type { Case } from '../case.ts'
import { train } from './train.ts'

const measured = ['mlp', 'tiny-mlp', 'cnn', 'transformer', 'resnet50-b16', 'bert-base-b8-t128']

/** Training steps whose peak memory is measured; see memory.ts. */
export const memory: Case[] = train
  .filter(({ name }) => measured.includes(name))
  .map((testCase) => ({ ...testCase, suite: 'memory', unit: 'MiB' }))
