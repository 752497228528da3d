import type { DType } from '../dtype.ts'
import { formatShape } from '../errors.ts'
import type { Spec } from '../layout.ts'
import type { EffectOrigin, NumbersOrigin } from '../tensor/modes.ts'
import type { Plan, Primitive } from '../tensor/primitive.ts'
import type { Scalar } from '../tensor/scalar.ts'
import type { Storage } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** Memory as it is between two writes. Reading it in another shape takes no op: see `Read`. */
export interface Value {
  readonly id: number
  readonly dtype: DType
  /** Elements. */
  readonly size: number
  readonly source: Source
}

/** Where a value comes from. */
export type Source =
  /** What the function was called with. */
  | { readonly kind: 'argument'; readonly index: number }
  /** A tensor from outside: a parameter, a running mean, a constant. */
  | { readonly kind: 'captured'; readonly storage: Storage }
  /** The `.grad` that a tensor has when the program starts. */
  | { readonly kind: 'gradient'; readonly of: Tensor }
  | { readonly kind: 'result'; readonly node: GraphNode; readonly index: number }
  /** The memory of `of` after a node has overwritten a part of it. */
  | { readonly kind: 'update'; readonly of: Value; readonly node: GraphNode; readonly index: number }

/** A tensor: elements `offset + Σ index·stride` of a value's memory. */
export interface Read {
  readonly value: Value
  readonly spec: Spec
  readonly offset: number
}

/** A number that every run asks the host for: item `index` of live numbers `lift`. */
export interface LiveNumber {
  readonly spec: Spec
  readonly lift: number
  readonly index: number
}

export type Operand = Read | LiveNumber | Scalar

export const isRead = (operand: Operand): operand is Read => 'offset' in operand
export const isLive = (operand: Operand): operand is LiveNumber => 'lift' in operand

/** One op that ran. Outputs are dense, unless they are written into memory that was there before. */
export interface GraphNode {
  readonly op: Primitive<never>
  readonly attrs: unknown
  readonly plan: Plan
  readonly inputs: readonly Operand[]
  readonly outputs: Read[]
  /** Made where the op was called; its stack leads to the user's line. */
  readonly origin: Error
  /** The checkpoint that it belongs to where it runs again for a gradient, which is why it is not shared with the first run. */
  readonly again?: object | undefined
}

/** Something that each run does on the host before the program starts, in order. All but effects give live numbers. */
export type HostStep =
  | {
      readonly kind: 'numbers'
      readonly count: number
      readonly compute: () => readonly number[]
      readonly origin?: NumbersOrigin | undefined
    }
  /** Numbers that come with an argument, from its number `first` on: those that another run was given. */
  | { readonly kind: 'given'; readonly argument: number; readonly first: number; readonly count: number }
  | { readonly kind: 'effect'; readonly run: () => void; readonly origin?: EffectOrigin | undefined }

/** What holds as long as `check` says so. */
export interface Guard {
  readonly what: string
  /** @param args The tensors among the arguments of the call. */
  readonly check: (args: readonly Tensor[]) => boolean
  /** Whether it goes on to hold until `changes` goes up. */
  readonly lasting: boolean
}

/** A function of tensors as the ops that it ran, with all that it read and changed besides its arguments and its result. */
export interface Graph {
  /** The arguments' values, one each. */
  readonly inputs: readonly Read[]
  /** What stood for the arguments while the function ran, one each. */
  readonly arguments: readonly Tensor[]
  /** In the order in which they ran. */
  readonly nodes: readonly GraphNode[]
  readonly outputs: readonly Read[]
  /** Memory from outside (captured or an argument's), and its value in the end. */
  readonly writes: ReadonlyMap<Value, Value>
  /** `.grad`s that the function leaves behind; null where it clears one. */
  readonly gradients: ReadonlyMap<Tensor, Read | null>
  readonly host: readonly HostStep[]
  readonly guards: readonly Guard[]
}

/** One line an op: `%2 = add(%0, %1) float32 [2, 3]`. */
export function formatGraph({ inputs, nodes, outputs, writes }: Graph): string {
  const names = new Map<Value, string>()
  const named = (value: Value): string => {
    const { source } = value
    if (source.kind === 'captured') return `constant ${value.dtype} (${value.size})`
    if (source.kind === 'gradient') return `gradient of ${source.of.dtype} ${formatShape(source.of.shape)}`
    let name = names.get(value)
    if (!name) names.set(value, (name = `%${names.size}`))
    return name
  }
  const operand = (x: Operand): string => {
    if (isLive(x)) return `number ${x.lift}.${x.index}`
    if (!isRead(x)) return String(x.value)
    return x.spec.contiguous && x.offset === 0 ? named(x.value) : `${named(x.value)}${formatShape(x.spec.shape)}`
  }
  const spec = ({ dtype, shape }: Spec) => `${dtype} ${formatShape(shape)}`
  return [
    ...inputs.map((x) => `${named(x.value)} = input ${spec(x.spec)}`),
    ...nodes.map(({ op, inputs: given, outputs: made }) => {
      const results = made.map((x) => named(x.value)).join(', ')
      return `${results} = ${op.name}(${given.map(operand).join(', ')}) ${made.map((x) => spec(x.spec)).join(', ')}`
    }),
    ...[...writes].map(([memory, value]) => `${named(memory)} := ${named(value)}`),
    `return ${outputs.map(operand).join(', ')}`,
  ].join('\n')
}
