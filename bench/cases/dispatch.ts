import type { Case } from '../case.ts'

export const dispatch: Case[] = [
  { suite: 'dispatch', name: 'add-4', unit: 'ns', work: { kind: 'tiny-add', size: 4, grad: false } },
  { suite: 'dispatch', name: 'add-4-grad', unit: 'ns', work: { kind: 'tiny-add', size: 4, grad: true } },
]
