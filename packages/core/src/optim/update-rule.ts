import type { DType } from '../dtype.ts'
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import { kernelPrimitive } from '../op/kernel-op.ts'
import { keyScalars, wordsAt } from '../op/random-key.ts'
import { isRounded, type RoundedDType, roundStochastically } from '../op/stochastic-rounding.ts'
import { bind, type Input } from '../tensor/bind.ts'
import { defaultGenerator } from '../tensor/generator.ts'
import { liveScalars, modes } from '../tensor/modes.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { keep } from '../tensor/scope.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { KnownOptions, listNumbers, recurringNumbers } from './known-options.ts'
import type { OptimizerOptions } from './optimizer.ts'
import type { Limits } from './options.ts'

/** What an optimiser remembers of one parameter: the number of its updates so far, moving averages, ... */
export interface ParamState {
  step: number
  [name: string]: Tensor | number
}

/** What there is in a state besides tensors. */
export const numbersIn = (state: ParamState): Record<string, number> =>
  Object.fromEntries(Object.entries(state).filter((entry): entry is [string, number] => typeof entry[1] === 'number'))

/** Updates a parameter and its state in place. `state.step` counts this update already. */
type Update = (param: Tensor, grad: Tensor, state: ParamState) => void

/** All that tells one optimiser from another. */
export interface UpdateRule<O> {
  readonly name: string
  readonly defaults: O
  readonly limits?: Limits<O>
  /** Refuses combinations of options that make no sense. */
  check?(options: O): void
  /** The state of a parameter before its first update. */
  start(options: O, param: Tensor): ParamState
  /** The numbers of a step that follow from options and the state of a parameter of a dtype; may keep numbers of its own there. */
  numbers?(options: O, state: ParamState, dtype: DType): { readonly [name: string]: number }
  /**
   * Called once a group and step.
   *
   * @param skip A 0-d bool: where it is true, the update changes nothing.
   */
  prepare(options: O, skip?: Tensor): Update
}

/** A state tensor of the parameter's dtype and engine that no `tidy` takes away. */
export function stateTensor(param: Tensor, value = 0, shape: readonly number[] = param.shape): Tensor {
  const made = param.newFull(shape, value)
  return made.isTracer ? made : keep(made)
}

/** Values of scalar code by name. */
type Values<K extends string> = { readonly [name in K]: Value }

/** An optimiser whose whole update is one kernel over a parameter, its gradient and its state. */
export interface KernelRule<O extends OptimizerOptions, State extends string, Numbers extends string, Structure> extends Pick<
  UpdateRule<O>,
  'name' | 'defaults' | 'limits' | 'check'
> {
  /** Choices that change the code. Whatever else depends on options or time is in `numbers`, which compile nothing anew. */
  readonly structure: (options: O) => Structure
  /** Initial values of the state tensors, which have the parameter's shape. */
  readonly states: (options: O) => { readonly [name in State]?: number }
  /** Numbers that `numbers` keeps in the state, before the first update. */
  readonly memory?: { readonly [name: string]: number }
  /** What the code needs to know at this step. May keep numbers of its own in `state`. */
  readonly numbers: (options: O, state: ParamState) => { readonly [name in Numbers]: number }
  /** Whether the code reduces over the whole parameter, as norms do. */
  readonly reduces?: boolean
  /** The new parameter and the new state. */
  readonly code: (
    k: KernelBuilder,
    values: Values<'param' | 'grad' | State>,
    numbers: Values<Numbers>,
    structure: Structure,
  ) => { readonly param: Value } & { readonly [name in State]?: Value }
}

export function kernelRule<O extends OptimizerOptions, State extends string, Numbers extends string, Structure>(
  rule: KernelRule<O, State, Numbers, Structure>,
): UpdateRule<O> {
  const codes = new Map<string, { readonly numbers: readonly Numbers[]; readonly primitive: Primitive<undefined> }>()
  return {
    ...rule,
    defaults: { ...rule.defaults, stochasticRounding: rule.defaults.stochasticRounding ?? false },
    start(options, param) {
      const state: ParamState = { step: 0, ...rule.memory }
      for (const [name, value] of Object.entries<number | undefined>(rule.states(options))) state[name] = stateTensor(param, value)
      return state
    },
    prepare(options, skip) {
      const structure = rule.structure(options)
      const { stochasticRounding = false } = options
      const names = Object.keys(rule.states(options)) as State[]
      const key = JSON.stringify(structure)
      const known = new KnownOptions(options)
      if (modes.tracer) {
        const seen = Object.values(structure as object)
        let holds = true
        modes.tracer.guard(`the options of ${rule.name}`, () => {
          if (known.look()) holds = hasValues(rule.structure(options), seen)
          return holds
        })
      }
      /** In a recorded program, parameters that have been updated equally often share their numbers. */
      const shared = new Map<string, { readonly scalars: readonly Scalar[]; readonly states: ParamState[] }>()
      const numbersFor = (dtype: DType, state: ParamState, names: readonly Numbers[]): readonly Scalar[] => {
        const origin = { kind: 'rule', rule: rule.name, options: options as object, state, dtype, names } as const
        const now = () => listNumbers(rule.numbers(options, state))
        if (!modes.tracer || rule.memory) return liveScalars(names.length, dtype, now, origin)
        const before = shared.get(`${dtype} ${state.step}`)
        if (before) {
          before.states.push(state)
          return before.scalars
        }
        const scalars = liveScalars(names.length, dtype, recurringNumbers(rule.numbers, options, known, { state }), origin)
        const states = [state]
        modes.tracer.guard(`the step counts of ${rule.name}`, () => haveSameStep(states), { lasting: true })
        shared.set(`${dtype} ${state.step}`, { scalars, states })
        return scalars
      }
      return (param, grad, state) => {
        const rounded = stochasticRounding && isRounded(param.dtype) ? param.dtype : undefined
        const rank = rule.reduces || rounded ? param.rank : 0
        const ownKey = `${key}${rank}${rounded ?? ''}${skip ? 'skip' : ''}`
        let code = codes.get(ownKey)
        if (!code) {
          // Asked of a copy, as the rule may keep numbers in the state.
          const numbers = Object.keys(rule.numbers(options, { ...state })) as Numbers[]
          code = { numbers, primitive: primitiveOf(rule, structure, names, numbers, { rank, rounded, skip: skip !== undefined }) }
          codes.set(ownKey, code)
        }
        const { numbers, primitive } = code
        const inputs: Input[] = [param, grad]
        const written = [param]
        for (const name of names) {
          inputs.push(state[name] as Tensor)
          written.push(state[name] as Tensor)
        }
        inputs.push(...numbersFor(param.dtype, state, numbers))
        if (rounded) inputs.push(...keyScalars(defaultGenerator))
        if (skip) inputs.push(skip)
        bind(primitive, inputs, undefined, written)
      }
    },
  }
}

function haveSameStep(states: readonly ParamState[]): boolean {
  const { step } = states[0]!
  for (let i = 1; i < states.length; i++) if (states[i]!.step !== step) return false
  return true
}

function hasValues<T>(x: T, values: readonly unknown[]): boolean {
  let i = 0
  for (const name in x) if (x[name] !== values[i++]) return false
  return true
}

interface UpdateForm {
  readonly rank: number
  /** The dtype that results are rounded to at random, if they are. */
  readonly rounded: RoundedDType | undefined
  readonly skip: boolean
}

function primitiveOf<O extends OptimizerOptions, State extends string, Numbers extends string, Structure>(
  rule: KernelRule<O, State, Numbers, Structure>,
  structure: Structure,
  states: readonly State[],
  numbers: readonly Numbers[],
  { rank, rounded, skip }: UpdateForm,
): Primitive<undefined> {
  const inputs = ['param', 'grad', ...states]
  const axes = Array.from({ length: rule.reduces ? rank : 0 }, (_, axis) => axis)
  const own = inputs.length + numbers.length
  return kernelPrimitive<undefined>({
    name: rule.name,
    axes: () => axes,
    operands: [...Array.from({ length: own }, () => 'promote' as const), 'own'],
    differentiable: false,
    code(k, given) {
      const values = Object.fromEntries(inputs.map((name, i) => [name, given[i]!])) as Values<'param' | 'grad' | State>
      const scalars = Object.fromEntries(numbers.map((name, i) => [name, given[inputs.length + i]!])) as Values<Numbers>
      const made = rule.code(k, values, scalars, structure)
      let results = [made.param, ...states.map((name) => made[name]!)]
      if (rounded) {
        const [k0, k1, call] = given.slice(own) as [Value, Value, Value]
        const [ofParam, ofState] = wordsAt(k, [k0, k1, call], positionOf(k))
        results = results.map((x, i) => roundStochastically(k, x, rounded, i === 0 ? ofParam : ofState))
      }
      return skip ? unlessSkipped(k, given.at(-1)!, results, [values.param, ...states.map((name) => values[name])]) : results
    },
  })
}

/** What a step leaves: what was there, where it is skipped. */
export const unlessSkipped = (k: KernelBuilder, skip: Value, after: readonly Value[], before: readonly Value[]): Value[] =>
  after.map((x, i) => k.select(skip, before[i]!, x))

/** An element's place in row-major order. */
function positionOf(k: KernelBuilder): Value {
  let position = k.constant('int32', 0)
  const extents = [...k.parallel, ...k.reduceAxes]
  extents.forEach((extent, axis) => (position = k.add(k.mul(position, k.constant('int32', extent)), k.index(axis))))
  return position
}

/** The direction to descend in: the gradient, turned around to maximise, plus `weightDecay` times the parameter where that decays it. */
export function descentOf(
  k: KernelBuilder,
  { param, grad }: Values<'param' | 'grad'>,
  { maximize, decay }: { readonly maximize: boolean; readonly decay: boolean },
  weightDecay: Value,
): Value {
  const direction = maximize ? k.neg(grad) : grad
  return decay ? k.add(direction, k.mul(weightDecay, param)) : direction
}

/** `from` moved towards `to` by a share `weight` of the way: a moving average. */
export const lerp = (k: KernelBuilder, from: Value, to: Value, weight: Value): Value => k.add(from, k.mul(weight, k.sub(to, from)))

/** The moving average of squares: `decay · average + share · x²`. */
export const averageSquare = (k: KernelBuilder, average: Value, x: Value, decay: Value, share: Value): Value =>
  k.add(k.mul(decay, average), k.mul(share, k.mul(x, x)))
