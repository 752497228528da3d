import { CotangentError } from '../errors.ts'
import type { HostStep } from '../graph/graph.ts'
import { corruptFile } from '../io/array-record.ts'
import { liveRule } from '../optim/live-numbers.ts'
import type { ParamState } from '../optim/update-rule.ts'
import { Generator } from '../tensor/generator.ts'
import type { Field } from './field.ts'
import { type HostFile, type HostStateFile, limits, numberToFile } from './format.ts'

/** What the steps of a program on the host know: random generators, options of optimisers, and counts of their steps. */
export interface HostState {
  readonly generators: readonly Generator[]
  /** Options of the parameter groups, with the names of their rules. */
  readonly groups: readonly { readonly rule: string; readonly options: Record<string, unknown> }[]
  /** What optimisers remember of each parameter besides tensors. */
  readonly counters: readonly ParamState[]
}

/** Host steps as they are written, and the state that they lean on. */
export function hostToFile(steps: readonly HostStep[]): { readonly host: readonly HostFile[]; readonly state: HostState } {
  const generators: Generator[] = []
  const sources: object[] = []
  const groups: { rule: string; options: Record<string, unknown> }[] = []
  const counters: ParamState[] = []
  const place = <T>(list: T[], item: T): number => (list.includes(item) ? list.indexOf(item) : list.push(item) - 1)
  const host = steps.map((step): HostFile => {
    if (step.kind === 'given' || !step.origin) throw notSavable()
    const { origin } = step
    if (origin.kind === 'random') return { kind: 'random', generator: place(generators, origin.generator) }
    const counter = place(counters, origin.state as ParamState)
    if (origin.kind === 'count') return { kind: 'count', counter }
    const { rule, options, dtype, names } = origin
    let group = sources.indexOf(options)
    if (group < 0) {
      group = sources.push(options) - 1
      const known = liveRule(rule)
      if (!known) throw notSavable()
      const given = options as Record<string, unknown>
      groups.push({ rule, options: Object.fromEntries(Object.keys(known.defaults).map((name) => [name, given[name]])) })
    }
    return { kind: 'rule', group, counter, dtype, names }
  })
  return { host, state: { generators, groups, counters } }
}

function notSavable(): CotangentError {
  return new CotangentError('unsupported', {
    op: 'exportProgram',
    message: 'the function runs JavaScript on every call that a file cannot hold, such as a scheduler',
    hint: 'Leave schedulers and prints out of it, and call them between runs: optimisers and dropout can be saved.',
  })
}

export function hostStateToFile({ generators, groups, counters }: HostState): HostStateFile {
  const numbersOf = (state: ParamState) => Object.entries(state).filter((entry): entry is [string, number] => typeof entry[1] === 'number')
  return {
    generators: generators.map(({ state: { seed, calls } }) => ({ seed: String(seed), calls })),
    groups: groups.map(({ rule, options }) => ({ rule, options })),
    counters: counters.map((state) => Object.fromEntries(numbersOf(state).map(([name, x]) => [name, numberToFile(x)]))),
  }
}

export function hostStateFromFile(field: Field): HostState {
  const parts = field.object(['generators', 'groups', 'counters'])
  const generators = parts.generators.list(limits.values).map((one) => {
    const { seed, calls } = one.object(['seed', 'calls'])
    const text = seed.text()
    seed.check(/^\d{1,20}$/.test(text) && BigInt.asUintN(64, BigInt(text)) === BigInt(text), 'is no seed')
    const made = new Generator(BigInt(text))
    made.state = { seed: BigInt(text), calls: calls.integer(0, Number.MAX_SAFE_INTEGER) }
    return made
  })
  const groups = parts.groups.list(limits.values).map((one) => {
    const { rule, options } = one.object(['rule', 'options'])
    const name = rule.text()
    const known = liveRule(name)
    if (!known) throw rule.fail('is no optimiser of this library')
    const given = Object.fromEntries(options.entries().map(([key, value]) => [key, value.raw()]))
    try {
      return { rule: name, options: { ...known.complete(given) } as Record<string, unknown> }
    } catch (cause) {
      throw corruptFile('loadProgram', `${options.path} do not fit ${name}: ${cause instanceof Error ? cause.message : String(cause)}`, {
        cause,
      })
    }
  })
  const counters = parts.counters.list(limits.values).map((one): ParamState => {
    const entries = one.entries().map(([name, x]) => [name, Number(x.number())] as const)
    one.check(
      entries.some(([name, x]) => name === 'step' && Number.isSafeInteger(x) && x >= 0),
      'counts no steps',
    )
    return Object.fromEntries(entries) as ParamState
  })
  return { generators, groups, counters }
}

/** Host steps that run on `state`. */
export function hostFromFile(field: Field, { generators, groups, counters }: HostState): HostStep[] {
  return field.list(limits.values).map((step): HostStep => {
    const kind = step.object(['kind'], ['generator', 'group', 'counter', 'dtype', 'names']).kind.oneOf(['random', 'rule', 'count'] as const)
    if (kind === 'random') {
      const generator = generators[step.object(['kind', 'generator']).generator.integer(0, generators.length - 1)]!
      return { kind: 'numbers', count: 3, compute: () => generator.next(), origin: { kind, generator } }
    }
    if (kind === 'count') {
      const state = counters[step.object(['kind', 'counter']).counter.integer(0, counters.length - 1)]!
      return { kind: 'effect', run: () => void state.step++, origin: { kind, state } }
    }
    const parts = step.object(['kind', 'group', 'counter', 'dtype', 'names'])
    const { rule, options } = groups[parts.group.integer(0, groups.length - 1)]!
    const state = counters[parts.counter.integer(0, counters.length - 1)]!
    const dtype = parts.dtype.oneOf(['float16', 'bfloat16', 'float32', 'float64'] as const)
    const names = parts.names.list(100).map((name) => name.text())
    const { numbers } = liveRule(rule)!
    const trial = numbers(options, { ...state }, dtype)
    names.forEach((name) =>
      parts.names.check(Object.hasOwn(trial, name) && typeof trial[name] === 'number', 'holds a name that the rule does not give'),
    )
    const compute = () => {
      const values = numbers(options, state, dtype)
      return names.map((name) => values[name]!)
    }
    return { kind: 'numbers', count: names.length, compute, origin: { kind, rule, options, state, dtype, names } }
  })
}
