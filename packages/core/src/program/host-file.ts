import { CotangentError } from '../errors.ts'
import type { HostStep } from '../graph/graph.ts'
import { corruptFile, quoteName } from '../io/array-record.ts'
import { liveRule } from '../optim/live-numbers.ts'
import type { Optimizer } from '../optim/optimizer.ts'
import { restoreScheduler, saveScheduler } from '../optim/schedulers/saved-scheduler.ts'
import type { Scheduler } from '../optim/schedulers/scheduler.ts'
import { numbersIn, type ParamState } from '../optim/update-rule.ts'
import { Generator } from '../tensor/generator.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Field } from './field.ts'
import { type HostFile, type HostStateFile, limits, numberToFile } from './format.ts'
import { savedSchedulerFromFile } from './scheduler-file.ts'

/** What the steps of a program on the host know: random generators, options of optimisers, and counts of their steps. */
export interface HostState {
  readonly generators: readonly Generator[]
  /** Options of the parameter groups, with the names of their rules. */
  readonly groups: readonly { readonly rule: string; readonly options: Record<string, unknown> }[]
  /** What optimisers remember of each parameter besides tensors. */
  readonly counters: readonly ParamState[]
  readonly schedulers: readonly { readonly scheduler: Scheduler; readonly groups: readonly number[] }[]
}

/** What a step does that has no meaning in a file. */
export const isBookkeeping = (step: HostStep): boolean => step.kind === 'effect' && step.origin?.kind === 'bookkeeping'

/** Writes host steps, and gathers the state that they lean on. */
export class HostWriter {
  readonly #nameOf: (x: Tensor) => string
  readonly #generators: Generator[] = []
  /** What the groups are known by. */
  readonly #sources: object[] = []
  readonly #groups: { rule: string; options: Record<string, unknown> }[] = []
  readonly #counters: ParamState[] = []
  readonly #schedulers: Scheduler[] = []

  /** @param nameOf Names a tensor of the program. */
  constructor(nameOf: (x: Tensor) => string) {
    this.#nameOf = nameOf
  }

  get state(): HostState {
    const schedulers = this.#schedulers.map((scheduler) => {
      const { rule, paramGroups } = scheduler.optimizer
      return { scheduler, groups: paramGroups.map((group) => this.#group(rule, group)) }
    })
    return { generators: this.#generators, groups: this.#groups, counters: this.#counters, schedulers }
  }

  step(step: HostStep): HostFile {
    if (step.kind === 'given') return step
    const { origin } = step
    if (!origin) throw notSavable()
    switch (origin.kind) {
      case 'random':
        return { kind: 'random', generator: place(this.#generators, origin.generator) }
      case 'rule': {
        const { rule, options, dtype, names } = origin
        return { kind: 'rule', group: this.#group(rule, options), counter: place(this.#counters, origin.state as ParamState), dtype, names }
      }
      case 'count': {
        const counter = place(this.#counters, origin.state as ParamState)
        return { kind: 'count', counter, ...(origin.skip && { skip: this.#tensor(origin.skip) }) }
      }
      case 'settle':
        // What the last run has left open is known by now.
        if (step.kind === 'effect') step.run()
        return { kind: 'settle', skip: this.#tensor(origin.skip) }
      case 'schedule':
        saveScheduler(origin.scheduler as Scheduler)
        return { kind: 'schedule', scheduler: place(this.#schedulers, origin.scheduler as Scheduler) }
      case 'bookkeeping':
        throw new TypeError('bookkeeping is no part of a file')
    }
  }

  #group(rule: string, options: object): number {
    const known = this.#sources.indexOf(options)
    if (known >= 0) return known
    const live = liveRule(rule)
    if (!live) throw notSavable()
    const given = options as Record<string, unknown>
    const names = [...Object.keys(live.defaults), ...(given.initialLr === undefined ? [] : ['initialLr'])]
    this.#groups.push({ rule, options: Object.fromEntries(names.map((name) => [name, given[name]])) })
    return this.#sources.push(options) - 1
  }

  #tensor(x: Tensor): string {
    if (x.isTracer) throw notSavable('the function skips a step by a tensor that it makes itself', 'Assign it to a tensor from outside.')
    return this.#nameOf(x)
  }
}

const place = <T>(list: T[], item: T): number => (list.includes(item) ? list.indexOf(item) : list.push(item) - 1)

function notSavable(
  message = 'the function runs JavaScript on every call that a file cannot hold',
  hint = 'Leave it out, and call it between runs: optimisers, schedulers, GradScaler and dropout can be saved.',
): CotangentError {
  return new CotangentError('unsupported', { op: 'exportProgram', message, hint })
}

export function hostStateToFile({ generators, groups, counters, schedulers }: HostState): HostStateFile {
  const scheduled = new Set(schedulers.flatMap((one) => one.groups))
  return {
    generators: generators.map(({ state: { seed, calls } }) => ({ seed: String(seed), calls })),
    groups: groups.map(({ rule, options: { initialLr, ...options } }, i) => ({
      rule,
      options,
      ...(initialLr !== undefined && scheduled.has(i) && { initialLr: initialLr as number }),
    })),
    counters: counters.map((state) => Object.fromEntries(Object.entries(numbersIn(state)).map(([name, x]) => [name, numberToFile(x)]))),
    ...(schedulers.length > 0 && {
      schedulers: schedulers.map(({ scheduler, groups: own }) => ({ ...saveScheduler(scheduler), groups: own })),
    }),
  }
}

export function hostStateFromFile(field: Field): HostState {
  const parts = field.object(['generators', 'groups', 'counters'], ['schedulers'])
  const generators = parts.generators.list(limits.values).map((one) => {
    const { seed, calls } = one.object(['seed', 'calls'])
    const text = seed.text()
    seed.check(/^\d{1,20}$/.test(text) && BigInt.asUintN(64, BigInt(text)) === BigInt(text), 'is no seed')
    const made = new Generator(BigInt(text))
    made.state = { seed: BigInt(text), calls: calls.integer(0, Number.MAX_SAFE_INTEGER) }
    return made
  })
  const groups = parts.groups.list(limits.values).map((one) => {
    const { rule, options, initialLr } = one.object(['rule', 'options'], ['initialLr'])
    const name = rule.text()
    const known = liveRule(name)
    if (!known) throw rule.fail('is no optimiser of this library')
    const given = Object.fromEntries(options.entries().map(([key, value]) => [key, value.raw()]))
    try {
      const completed = { ...known.complete(given) } as Record<string, unknown>
      if (initialLr) completed.initialLr = initialLr.finite()
      return { rule: name, options: completed }
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
  // Making a scheduler sets rates, which may have been set otherwise since.
  const before = groups.map(({ options }) => ({ ...options }))
  const schedulers = (parts.schedulers?.list(limits.schedulers) ?? []).map((one) => {
    const { saved, own } = savedSchedulerFromFile(one, groups.length)
    const paramGroups = own.map((at) => groups[at]!.options)
    try {
      // Of an optimiser, a scheduler looks at the groups, and at the names of options.
      const optimizer = { paramGroups, defaults: paramGroups[0] } as unknown as Optimizer
      return { scheduler: restoreScheduler(optimizer, saved), groups: own }
    } catch (cause) {
      if (!(cause instanceof CotangentError)) throw cause
      throw corruptFile('loadProgram', `${one.path} is no scheduler: ${cause.message}`, { cause })
    }
  })
  groups.forEach(({ options }, i) => Object.assign(options, before[i]))
  return { generators, groups, counters, schedulers }
}

/** Counts of the last run that hold unless a tensor turns out to be true. */
type Open = Map<ParamState, Record<string, number>>

/** Reads host steps that run on a state. */
export class HostReader {
  readonly #state: HostState
  readonly #tensorOf: (name: string) => Tensor | undefined
  readonly #open = new Map<string, { readonly skip: Tensor; readonly counts: Open }>()

  /** @param tensorOf The tensors of the file. */
  constructor(state: HostState, tensorOf: (name: string) => Tensor | undefined) {
    this.#state = state
    this.#tensorOf = tensorOf
  }

  /** Takes back what was counted of steps that turned out to be skipped. */
  settle(): void {
    for (const { skip, counts } of this.#open.values()) {
      if (counts.size > 0 && skip.item()) for (const [state, before] of counts) Object.assign(state, before)
      counts.clear()
    }
  }

  /** @param numbersIn Numbers that lie in the arguments of a body: how many each holds. */
  steps(field: Field, numbersInArgument: (argument: number) => number = () => 0): HostStep[] {
    return field.list(limits.values).map((step) => this.#step(step, numbersInArgument))
  }

  #step(step: Field, numbersInArgument: (argument: number) => number): HostStep {
    const { generators, counters, groups, schedulers } = this.#state
    const { kind: kindField } = step.object(
      ['kind'],
      ['generator', 'group', 'counter', 'dtype', 'names', 'skip', 'scheduler', 'argument', 'first', 'count'],
    )
    const kind = kindField.oneOf(['random', 'rule', 'count', 'settle', 'schedule', 'given'] as const)
    switch (kind) {
      case 'random': {
        const generator = generators[step.object(['kind', 'generator']).generator.integer(0, generators.length - 1)]!
        return { kind: 'numbers', count: 3, compute: () => generator.next(), origin: { kind, generator } }
      }
      case 'count': {
        const parts = step.object(['kind', 'counter'], ['skip'])
        const state = counters[parts.counter.integer(0, counters.length - 1)]!
        if (!parts.skip) return { kind: 'effect', run: () => void state.step++, origin: { kind, state } }
        const { skip, counts } = this.#openAt(parts.skip)
        const run = () => {
          counts.set(state, numbersIn(state))
          state.step++
        }
        return { kind: 'effect', run, origin: { kind, state, skip } }
      }
      case 'settle': {
        const { skip } = this.#openAt(step.object(['kind', 'skip']).skip)
        return { kind: 'effect', run: () => this.settle(), origin: { kind, skip } }
      }
      case 'schedule': {
        const { scheduler } = schedulers[step.object(['kind', 'scheduler']).scheduler.integer(0, schedulers.length - 1)]!
        return { kind: 'effect', run: () => scheduler.step(), origin: { kind, scheduler } }
      }
      case 'given': {
        const parts = step.object(['kind', 'argument', 'first', 'count'])
        const argument = parts.argument.integer(0, limits.values)
        const held = numbersInArgument(argument)
        const first = parts.first.integer(0, held)
        return { kind, argument, first, count: parts.count.integer(0, held - first) }
      }
      case 'rule': {
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
      }
    }
  }

  #openAt(field: Field): { readonly skip: Tensor; readonly counts: Open } {
    const name = field.text()
    const known = this.#open.get(name)
    if (known) return known
    const skip = this.#tensorOf(name)
    if (!skip || skip.dtype !== 'bool' || skip.size !== 1) throw field.fail(`names ${quoteName(name)}, which is no bool of the file`)
    const made = { skip, counts: new Map() }
    this.#open.set(name, made)
    return made
  }
}
