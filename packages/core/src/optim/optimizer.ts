import { CotangentError } from '../errors.ts'
import { sameShape } from '../layout.ts'
import { changes } from '../tensor/changes.ts'
import { hostEffect, modes, noGrad, type Tracer, withModes } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { completeOptions } from './options.ts'
import { groupsOf, listParams, type ParamGroupSpec, type Params } from './params.ts'
import { numbersIn, type ParamState, type UpdateRule } from './update-rule.ts'

/** What every optimiser has: a learning rate, and how parameters of half precision are rounded. */
export interface OptimizerOptions {
  /** The learning rate. */
  readonly lr: number
  /**
   * Rounds parameters and states of bfloat16 or float16 up or down at random, so that small steps are not lost: their mean is
   * right. Draws from the generator that `manualSeed` seeds. Default false.
   */
  readonly stochasticRounding?: boolean
}

/** Whether a step is to be left out, decided on the device. */
export interface StepOptions {
  /**
   * A 0-d bool on the device: where it is true, the step changes nothing, neither parameters nor state. It is read (on the host,
   * for the count of steps) when the next step begins, or by `settle`, and must be kept until then. `GradScaler` makes one.
   */
  readonly skip?: Tensor
}

/** Parameters that are optimised with the same options. Change an option by setting it, e.g. `group.lr = 0.01`. */
export type ParamGroup<O = OptimizerOptions> = { -readonly [K in keyof O]: O[K] } & {
  readonly params: readonly Tensor[]
  /** As the parameters were named, where they were. */
  readonly names?: readonly string[]
  /** The learning rate that schedulers start from; they set it. */
  initialLr?: number
}

/** All that an optimiser knows, as numbers and tensors. */
export interface OptimizerState<O = OptimizerOptions> {
  /** Each parameter's state, by its position among all parameters. The tensors are the optimiser's own, not copies. */
  readonly state: { readonly [position: string]: Readonly<ParamState> }
  /** Options, with the positions (and names) of the parameters that they hold for. */
  readonly paramGroups: readonly (O & {
    readonly params: readonly number[]
    readonly names?: readonly string[]
    readonly initialLr?: number
  })[]
}

/**
 * The base of all optimisers: parameters in groups, their state, and `step`, which updates every parameter that has a gradient,
 * in place, by one kernel.
 *
 *     const optimizer = new optim.AdamW(model, { lr: 3e-4 })
 *     for await (const { x, y } of batches) {
 *       loss(model.forward(x), y).backward()
 *       optimizer.step()
 *       optimizer.zeroGrad()
 *     }
 */
export abstract class Optimizer<O extends OptimizerOptions = OptimizerOptions> {
  /** What groups do not say themselves. */
  readonly defaults: O
  readonly paramGroups: ParamGroup<O>[] = []
  readonly #rule: UpdateRule<O>
  #states = new Map<Tensor, ParamState>()
  /** The last step that may have been skipped, and the numbers in the states before it. */
  #unsettled: { readonly skip: Tensor; readonly before: Map<ParamState, object> } | null = null
  readonly #skippedIn = new WeakSet<Tracer>()

  /**
   * @throws {CotangentError} `invalid-argument` for no parameters, a parameter twice, or an option that is none or out of range;
   *   `dtype-mismatch` for a parameter that is no float.
   */
  constructor(rule: UpdateRule<O>, params: Params<O>, options: Partial<O>) {
    this.#rule = rule
    this.defaults = this.#complete(rule.defaults, options)
    const groups = groupsOf(rule.name, params)
    if (groups.length === 0) throw this.#refused('there are no parameters to optimise', 'Pass a module, tensors, or groups of them.')
    for (const group of groups) this.addParamGroup(group)
  }

  /** Adds parameters, for instance layers that are trained from now on. */
  addParamGroup({ params: source, ...given }: ParamGroupSpec<O>): void {
    const group = { ...this.#complete(this.defaults, given as unknown as Partial<O>), ...listParams(this.#rule.name, source) }
    const seen = new Set(this.params)
    for (const [i, param] of group.params.entries()) {
      if (seen.has(param)) {
        throw this.#refused(
          `parameter ${group.names?.[i] ?? i} of group ${this.paramGroups.length} appears twice`,
          'Leave out what another group has.',
        )
      }
      seen.add(param)
    }
    this.paramGroups.push(group as unknown as ParamGroup<O>)
  }

  /** Its name: `AdamW`, ... */
  get rule(): string {
    return this.#rule.name
  }

  /** All parameters, in order. */
  get params(): Tensor[] {
    return this.paramGroups.flatMap((group) => group.params)
  }

  /** The learning rate (of the first group, if they differ). Setting it sets that of every group. */
  get lr(): number {
    return this.paramGroups[0]!.lr
  }

  set lr(lr: number) {
    this.#complete(this.defaults, { lr } as Partial<O>)
    for (const group of this.paramGroups) group.lr = lr
  }

  /** Updates every parameter that has a gradient. */
  step({ skip }: StepOptions = {}): void {
    if (skip) this.#settleLater(skip)
    else this.settle()
    const [states, { length: count }] = [this.#states, this.paramGroups]
    modes.tracer?.guard(`the state of ${this.#rule.name}`, () => this.#states === states, { lasting: true })
    modes.tracer?.guard(`the groups of ${this.#rule.name}`, () => this.paramGroups.length === count)
    noGrad(() => {
      for (const group of this.paramGroups) {
        const update = this.#rule.prepare(group as unknown as O, skip)
        for (const param of group.params) {
          const grad = param.unseenGrad
          if (!grad) continue
          const state = this.#stateOf(param, group)
          this.#count(state, skip)
          update(param, this.#checked(grad, param), state)
        }
      }
    })
  }

  /**
   * Takes back what was counted of the last step if it turned out to be skipped. Happens by itself before the next step and in
   * `stateDict`; who changes the tensor that says so calls it before.
   */
  settle(): void {
    const last = this.#unsettled
    this.#unsettled = null
    if (!last || !withModes({ tracer: null }, () => last.skip.item())) return
    for (const [state, before] of last.before) Object.assign(state, before)
    changes.count++
  }

  #count(state: ParamState, skip: Tensor | undefined): void {
    if (!modes.tracer) changes.count++
    if (!skip) hostEffect(() => void state.step++, { kind: 'count', state })
    else
      hostEffect(
        () => {
          this.#unsettled ??= { skip, before: new Map() }
          this.#unsettled.before.set(state, numbersIn(state))
          state.step++
        },
        { kind: 'count', state, skip },
      )
  }

  /** What the host does in a recorded program comes before all else, so it is known there whether the last run skipped a step. */
  #settleLater(skip: Tensor): void {
    const { tracer } = modes
    if (tracer && this.#skippedIn.has(tracer)) {
      throw new CotangentError('unsupported', {
        op: this.#rule.name,
        message: 'a compiled function takes two steps that may be skipped',
        hint: 'Take one step a run, for instance by compiling a function for one batch.',
      })
    }
    if (tracer) this.#skippedIn.add(tracer)
    hostEffect(() => this.settle(), { kind: 'settle', skip })
  }

  /** Forgets the gradients of all parameters. */
  zeroGrad(): void {
    for (const { params } of this.paramGroups) for (const param of params) param.grad = null
  }

  /** The state to save: pass it to `saveCheckpoint`, or copy its tensors if training goes on before they are used. */
  stateDict(): OptimizerState<O> {
    this.settle()
    const positions = new Map(this.params.map((param, i) => [param, i]))
    const state: Record<string, ParamState> = {}
    for (const [param, position] of positions) {
      const own = this.#states.get(param)
      if (own) state[position] = { ...own }
    }
    const paramGroups = this.paramGroups.map(({ params, ...rest }) => ({ ...rest, params: params.map((p) => positions.get(p)!) }))
    return { state, paramGroups: paramGroups as unknown as OptimizerState<O>['paramGroups'] }
  }

  /**
   * Takes over a saved state, options included. Parameters are matched by name where both sides have names, else by position.
   * Tensors are copied, and cast to the parameter's dtype.
   *
   * @throws {CotangentError} `invalid-argument` that lists what does not fit, before anything is changed.
   */
  loadStateDict(saved: OptimizerState<O>): void {
    const groups = saved?.paramGroups
    if (
      !Array.isArray(groups) ||
      groups.some((g) => !Array.isArray(g?.params)) ||
      typeof saved.state !== 'object' ||
      saved.state === null
    ) {
      throw this.#refused('this is not the state of an optimiser', 'Load what stateDict() gave.')
    }
    if (groups.length !== this.paramGroups.length) {
      throw this.#refused(
        `the state has ${groups.length} parameter groups, the optimiser ${this.paramGroups.length}`,
        'Make the optimiser with the groups that it had.',
      )
    }
    const problems: string[] = []
    const loaded: { param: Tensor; state: ParamState; from: Readonly<ParamState> }[] = []
    const options = groups.map(({ params: positions, names, initialLr, ...rest }, g) => {
      const group = this.paramGroups[g]!
      const completed = this.#complete(this.defaults, rest as unknown as Partial<O>)
      const matched = matchParams(group, { positions, ...(names && { names }) }, `group ${g}`, problems)
      for (const { param, label, position } of matched) {
        const from = saved.state[position]
        if (!from) continue
        const state = this.#rule.start(completed, param)
        loaded.push({ param, state, from })
        compareStates(label, state, from, problems)
      }
      return initialLr === undefined ? completed : { ...completed, initialLr }
    })
    if (problems.length > 0) {
      for (const { state } of loaded) for (const value of Object.values(state)) if (value instanceof Tensor) value.dispose()
      throw this.#refused(
        `the state does not fit:\n${problems.map((p) => `  ${p}`).join('\n')}\nNothing was loaded`,
        'It must come from the same optimiser over the same parameters.',
      )
    }
    options.forEach((values, g) => Object.assign(this.paramGroups[g]!, values))
    this.#states = new Map()
    changes.count++
    this.#unsettled = null
    for (const { param, state, from } of loaded) {
      for (const [name, value] of Object.entries(from)) {
        const target = state[name]
        if (target instanceof Tensor) target.assign(value)
        else state[name] = value
      }
      this.#states.set(param, state)
    }
  }

  #stateOf(param: Tensor, group: ParamGroup<O>): ParamState {
    let state = this.#states.get(param)
    if (!state) {
      // State is there for good, also when a program is recorded that will only ever use it.
      state = withModes({ tracer: null }, () => this.#rule.start(group as unknown as O, param))
      this.#states.set(param, state)
    }
    return state
  }

  #checked(grad: Tensor, param: Tensor): Tensor {
    if (grad.spec === param.spec) return grad
    if (!sameShape(grad.shape, param.shape)) {
      throw new CotangentError('shape-mismatch', {
        op: this.#rule.name,
        message: 'a gradient has another shape than its parameter',
        shapes: [grad.shape, param.shape],
        hint: "Set param.grad to a tensor of the parameter's shape.",
      })
    }
    return grad.cast(param.dtype)
  }

  #complete(defaults: O, given: Partial<O>): O {
    const options = completeOptions(this.#rule.name, defaults, given, this.#rule.limits)
    this.#rule.check?.(options)
    return options
  }

  #refused(message: string, hint: string): CotangentError {
    return new CotangentError('invalid-argument', { op: this.#rule.name, message, hint })
  }
}

/** Pairs a group's parameters with positions in a saved state. */
function matchParams(
  group: { readonly params: readonly Tensor[]; readonly names?: readonly string[] },
  saved: { readonly positions: readonly number[]; readonly names?: readonly string[] },
  label: string,
  problems: string[],
): { param: Tensor; label: string; position: number }[] {
  const { params, names } = group
  if (!names || !saved.names) {
    if (params.length !== saved.positions.length)
      problems.push(`${label} has ${params.length} parameters, in the state ${saved.positions.length}`)
    return params.flatMap((param, i) =>
      i < saved.positions.length ? [{ param, label: names?.[i] ?? `parameter ${i} of ${label}`, position: saved.positions[i]! }] : [],
    )
  }
  const positions = new Map(saved.names.map((name, i) => [name, saved.positions[i]!]))
  for (const name of names) if (!positions.has(name)) problems.push(`${name} is missing from ${label}`)
  for (const name of positions.keys()) if (!names.includes(name)) problems.push(`${name} of ${label} is not a parameter here`)
  return params.flatMap((param, i) => (positions.has(names[i]!) ? [{ param, label: names[i]!, position: positions.get(names[i]!)! }] : []))
}

function compareStates(label: string, own: Readonly<ParamState>, saved: Readonly<ParamState>, problems: string[]): void {
  for (const [name, value] of Object.entries(own)) {
    const given = saved[name]
    if (given === undefined) problems.push(`${label}: ${name} is missing`)
    else if (value instanceof Tensor !== given instanceof Tensor)
      problems.push(
        `${label}: ${name} is ${given instanceof Tensor ? 'a tensor' : 'a number'} instead of ${value instanceof Tensor ? 'a tensor' : 'a number'}`,
      )
    else if (value instanceof Tensor && given instanceof Tensor && !sameShape(value.shape, given.shape)) {
      problems.push(`${label}: ${name} has shape [${given.shape.join(', ')}] instead of [${value.shape.join(', ')}]`)
    }
  }
  for (const name of Object.keys(saved)) if (!(name in own)) problems.push(`${label}: ${name} is not part of its state`)
}
