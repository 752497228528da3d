import type { Engine } from '../../engine/engine.ts'
import { spec } from '../../layout.ts'
import { outsideScopes, type Storage } from '../../tensor/storage.ts'
import { ProgramExecutable } from '../executor.ts'
import { isLive, type Value } from '../graph.ts'
import { type Operation, type Program, resultsOf } from '../program.ts'
import { removeDeadCode } from './dead-code.ts'

/** Instructions up to which a value that follows from nothing is cheaper computed where it is read. */
const FEW_NODES = 8

/**
 * Computes now what every run would compute alike: what follows from constants alone and, if they are `frozen`, from tensors
 * that the function captured and does not change. Their values become memory that the program captures.
 */
export function foldConstants(program: Program, engine: Engine, { frozen }: { readonly frozen: boolean }): Program {
  const { graph, operations } = program
  const constants = constantOperations(program, frozen)
  const made = new Map(constants.flatMap((operation) => operation.outputs.map(({ value }) => [value, operation] as const)))
  const needed = resultsOf(graph)
  const readers = operations.filter((operation) => !constants.includes(operation))
  const read = new Set(readers.flatMap(({ inputs }) => inputs.map(({ value }) => value)))
  const frontier = [...made].flatMap(([value, maker]) => (read.has(value) && !needed.has(value) && !isFill(maker) ? [value] : []))
  if (frontier.length === 0) return program
  const outputs = frontier.map((value) => ({ value, spec: spec(value.dtype, [value.size]), offset: 0 }))
  const nothing = { inputs: [], arguments: [], nodes: [], writes: new Map(), gradients: new Map(), host: [], guards: [] }
  const recipe = removeDeadCode({ graph: { ...nothing, outputs }, operations: constants })
  const instead = new Map<Value, Value>()
  constantsOf(recipe, engine).forEach((storage, i) => {
    instead.set(frontier[i]!, { ...frontier[i]!, source: { kind: 'captured', storage } })
  })
  const moved = operations.map((operation) => ({
    ...operation,
    inputs: operation.inputs.map((x) => ({ ...x, value: instead.get(x.value) ?? x.value })),
  }))
  return removeDeadCode({ ...program, operations: moved })
}

/** What made a constant: an output of a program of constants. */
interface Recipe {
  readonly program: Program
  readonly output: number
}

const recipes = new WeakMap<Storage, Recipe>()

/** What made a constant; undefined for memory that came from outside. */
export const recipeOf = (constant: Storage): Recipe | undefined => recipes.get(constant)

/** Computes the outputs of a program that takes no arguments. */
export function constantsOf(program: Program, engine: Engine): Storage[] {
  const made = outsideScopes(() => new ProgramExecutable(engine, program).run([]))
  return made.map(({ storage }, output) => {
    storage.kept = true
    recipes.set(storage, { program, output })
    return storage
  })
}

/** Those that give the same on each run. */
function constantOperations({ graph, operations }: Program, frozen: boolean): Operation[] {
  const writers = new Map<Value, number>()
  for (const { outputs } of operations) for (const { value } of outputs) writers.set(value, (writers.get(value) ?? 0) + 1)
  const overwritten = new Set<Value>(graph.writes.keys())
  for (const { outputs } of operations)
    for (const { value } of outputs) if (value.source.kind === 'update') overwritten.add(value.source.of)
  const constant = new Set<Value>()
  return operations.filter(({ program, inputs, outputs, numbers }) => {
    if (program.kind === 'control') return false
    const follows = inputs.every(({ value }) => {
      return constant.has(value) || (frozen && value.source.kind === 'captured' && !overwritten.has(value))
    })
    const whole = outputs.every(({ value }) => value.source.kind === 'result' && writers.get(value) === 1 && !overwritten.has(value))
    if (!follows || !whole || numbers.some(isLive)) return false
    for (const { value } of outputs) constant.add(value)
    return true
  })
}

const isFill = ({ program }: Operation): boolean =>
  program.kind === 'kernel' && program.inputs.length === 0 && program.reduce.length === 0 && program.nodes.length <= FEW_NODES
