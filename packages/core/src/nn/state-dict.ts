import { CotangentError, formatShape } from '../errors.ts'
import { sameShape } from '../layout.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Module, Slot } from './module.ts'
import { Buffer, Parameter } from './parameter.ts'

/** Tensors by name. */
export type StateDict = Record<string, Tensor>
/** What can be loaded: an object, a Map, or pairs. */
export type StateSource = Readonly<StateDict> | Iterable<readonly [string, Tensor]>

/** How exactly a state must match a module. */
export interface LoadOptions {
  /** Whether names and dtypes must match exactly (default). Otherwise what matches is loaded, and cast. */
  readonly strict?: boolean
}

/** What was left out when a state was loaded; both lists are empty when all of it matched. */
export interface LoadReport {
  /** Names of the module that the state lacks. */
  readonly missing: readonly string[]
  /** Names of the state that the module lacks. */
  readonly unexpected: readonly string[]
}

type State = Parameter | Buffer

const isState = (value: Slot['value']): value is State => value instanceof Parameter || (value instanceof Buffer && value.persistent)

function statesOf(module: Module): Map<string, State> {
  return new Map([...module.slots()].flatMap(({ name, value }) => (isState(value) ? [[name, value]] : [])))
}

export function stateOf(module: Module): StateDict {
  return Object.fromEntries([...statesOf(module)].map(([name, value]) => [name, value.detach()]))
}

export function loadState(module: Module, state: StateSource, { strict = true }: LoadOptions): LoadReport {
  const given = new Map(Symbol.iterator in state ? (state as Iterable<readonly [string, Tensor]>) : Object.entries(state))
  const own = statesOf(module)
  const missing = [...own.keys()].filter((name) => !given.has(name))
  const unexpected = [...given.keys()].filter((name) => !own.has(name))
  const problems = strict
    ? [...missing.map((name) => `${name} is missing`), ...unexpected.map((name) => `${name} is not part of the module`)]
    : []
  for (const [name, to] of own) {
    const from = given.get(name)
    if (!from) continue
    if (!sameShape(from.shape, to.shape)) problems.push(`${name} has shape ${formatShape(from.shape)} instead of ${formatShape(to.shape)}`)
    if (strict && from.dtype !== to.dtype) problems.push(`${name} is ${from.dtype} instead of ${to.dtype}`)
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'one entry does' : `${problems.length} entries do`
    throw new CotangentError('invalid-argument', {
      op: 'loadStateDict',
      message: `${count} not fit ${module.constructor.name}:\n${problems.map((p) => `  ${p}`).join('\n')}\nNothing was loaded`,
      ...(strict && { hint: 'With { strict: false }, what fits is loaded; model.to(dtype) changes dtypes.' }),
    })
  }
  noGrad(() => {
    for (const [name, to] of own) {
      const from = given.get(name)
      if (from) to.assign(from)
    }
  })
  return { missing, unexpected }
}
