import type { Control } from '../engine/control.ts'
import type { Program as EngineProgram } from '../engine/engine.ts'
import type { Scalar } from '../tensor/scalar.ts'
import type { Graph, LiveNumber, Read, Value } from './graph.ts'

/** Where an operand of a program starts: at element `offset` of a value's memory. */
export interface Place {
  readonly value: Value
  readonly offset: number
}

/** The op that something was made from, for people. */
export interface Origin {
  readonly name: string
  /** Its stack leads to the user's line. */
  readonly at: Error
}

/** A kernel, routine or control over values. Of kernels, inputs are distinct values with offset 0. */
export interface Operation {
  readonly program: EngineProgram | Control
  readonly inputs: readonly Place[]
  readonly outputs: readonly Place[]
  /** One a param of the program. */
  readonly numbers: readonly (Scalar | LiveNumber)[]
  /** All that was fused into it. */
  readonly origins: readonly Origin[]
  /** See `GraphNode`. */
  readonly again?: object | undefined
}

/** Whether it has to run whoever reads its outputs, and in order with others of the kind. */
export const hasEffect = ({ program }: Operation): boolean => program.kind === 'control' && program.effect

/** Why an op was left apart from the operations beside it, for people. */
export interface Note {
  readonly origin: Origin
  readonly reason: string
}

/** A graph as the programs that engines run, in an order in which they may run. */
export interface Program {
  readonly graph: Graph
  readonly operations: readonly Operation[]
  /** What passes have to tell about fusion that did not happen. */
  readonly notes?: readonly Note[]
}

/** The value whose memory a value lies in: itself, unless it is what is left after a part was overwritten. */
export function rootOf(value: Value): Value {
  let root = value
  while (root.source.kind === 'update') root = root.source.of
  return root
}

/** Whether memory of its own has to be found for a root: it is not there when the program starts. */
export const isMade = ({ inputs }: Graph, root: Value): boolean => root.source.kind === 'result' && !inputs.some((x) => x.value === root)

/** The values that are somebody else's when the program ends: outputs and gradients. */
export function handedOut({ outputs, gradients }: Graph): Value[] {
  const left = [...gradients.values()].filter((read): read is Read => read !== null)
  return [...outputs, ...left].map((read) => read.value)
}

/** The values that have to be there when the program ends. */
export const resultsOf = (graph: Graph): Set<Value> => new Set([...handedOut(graph), ...graph.writes.values()])
