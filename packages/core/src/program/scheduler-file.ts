import { optionProblem, type SavedScheduler } from '../optim/schedulers/saved-scheduler.ts'
import type { SchedulerState } from '../optim/schedulers/scheduler.ts'
import type { Field } from './field.ts'
import { limits } from './format.ts'

/** A scheduler of a file, and the groups whose rates it sets, of which there are `groups` in the file. */
export function savedSchedulerFromFile(field: Field, groups: number): { readonly saved: SavedScheduler; readonly own: readonly number[] } {
  const { groups: list } = field.object(['kind', 'options', 'state', 'groups'], ['schedulers'])
  const own = list.list(groups, 1).map((at) => at.integer(0, groups - 1))
  list.check(new Set(own).size === own.length, 'names a group twice')
  return { saved: savedFromFile(field, own.length, 0), own }
}

function savedFromFile(field: Field, groups: number, depth: number): SavedScheduler {
  field.check(depth <= limits.depth, 'is nested too deep')
  const parts = field.object(['kind', 'options', 'state'], depth === 0 ? ['schedulers', 'groups'] : ['schedulers'])
  const kind = parts.kind.text()
  const options = Object.fromEntries(parts.options.entries().map(([name, value]) => [name, value.raw() as number]))
  const problem = optionProblem(kind, options)
  if (problem !== null) throw parts.options.fail(problem)
  const schedulers = parts.schedulers?.list(limits.schedulers).map((one) => savedFromFile(one, groups, depth + 1))
  return { kind, options, state: stateFromFile(parts.state, groups, depth), ...(schedulers && { schedulers }) }
}

function stateFromFile(field: Field, groups: number, depth: number): SchedulerState {
  field.check(depth <= limits.depth, 'is nested too deep')
  const parts = field.object(['epoch', 'lastLrs'], ['baseLrs', 'schedulers'])
  const rates = (list: Field) => list.list(groups, groups).map((x) => x.finite())
  return {
    epoch: parts.epoch.integer(0, 2 ** 31),
    lastLrs: rates(parts.lastLrs),
    ...(parts.baseLrs && { baseLrs: rates(parts.baseLrs) }),
    ...(parts.schedulers && { schedulers: parts.schedulers.list(limits.schedulers).map((one) => stateFromFile(one, groups, depth + 1)) }),
  }
}
