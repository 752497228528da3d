import type { Optimizer } from '../../optim/optimizer.ts'

/**
 * Sets up a scheduler of a training that goes on: it would set the rates of its own beginning or end, where the checkpoint has those
 * that all that change them, several schedulers and averages, had come to.
 */
export function keepingRates({ paramGroups }: Optimizer, setUp: () => void): void {
  const before = paramGroups.map((group) => ({ ...group }))
  setUp()
  paramGroups.forEach((group, i) => Object.assign(group, before[i]))
}
