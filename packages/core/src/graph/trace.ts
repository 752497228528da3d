import { CotangentError, formatShape } from '../errors.ts'
import type { Spec } from '../layout.ts'
import { bind } from '../tensor/bind.ts'
import { type Tracer, withModes } from '../tensor/modes.ts'
import type { Primitive } from '../tensor/primitive.ts'
import { Scalar } from '../tensor/scalar.ts'
import { Placeholder } from '../tensor/storage.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf, mapTree } from '../tree.ts'

/** Where an operand comes from: output `index` of a node, or a value from outside. */
export type Operand = { readonly node: GraphNode; readonly index: number } | { readonly value: Tensor | Scalar }

export interface GraphNode {
  readonly op: Primitive<never> | null
  readonly inputs: readonly Operand[]
  readonly attrs: unknown
  readonly outputs: readonly Spec[]
}

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/** A function of tensors as the ops that it ran. */
export class Graph {
  /** Stand for the arguments; they have no op. */
  readonly inputs: readonly GraphNode[]
  /** In the order in which they ran. */
  readonly nodes: readonly GraphNode[]
  readonly outputs: readonly Operand[]
  readonly #result: unknown

  constructor(inputs: readonly GraphNode[], nodes: readonly GraphNode[], outputs: readonly Operand[], result: unknown) {
    this.inputs = inputs
    this.nodes = nodes
    this.outputs = outputs
    this.#result = result
  }

  /** Runs the ops on other arguments, of the shapes and dtypes that were traced; gives what the function gives. */
  run(...args: readonly Tensor[]): unknown {
    if (args.length !== this.inputs.length) {
      throw new CotangentError('invalid-argument', {
        op: 'Graph.run',
        message: `${args.length} arguments for ${this.inputs.length} inputs`,
        hint: 'Pass one tensor for each spec that was traced.',
      })
    }
    const values = new Map<GraphNode, readonly Tensor[]>()
    this.inputs.forEach((node, i) => {
      const [want] = node.outputs
      const arg = args[i]!
      if (arg.dtype !== want!.dtype || formatShape(arg.shape) !== formatShape(want!.shape)) {
        throw new CotangentError('shape-mismatch', {
          op: 'Graph.run',
          message: `argument ${i} is ${arg.dtype} ${formatShape(arg.shape)}, traced was ${want!.dtype} ${formatShape(want!.shape)}`,
          hint: 'Trace again for other shapes.',
        })
      }
      values.set(node, [arg.contiguous()])
    })
    const valueOf = (operand: Operand): Tensor | Scalar => ('value' in operand ? operand.value : values.get(operand.node)![operand.index]!)
    for (const node of this.nodes) values.set(node, bind(node.op as Primitive<unknown>, node.inputs.map(valueOf), node.attrs))
    let next = 0
    return mapTree(this.#result, isTensor, () => valueOf(this.outputs[next++]!))
  }

  /** One line an op: `%2 = add(%0, %1) float32 [2, 3]`. */
  toString(): string {
    const names = new Map<GraphNode, string>()
    const name = (operand: Operand) => {
      if ('value' in operand)
        return operand.value instanceof Scalar
          ? String(operand.value.value)
          : `constant ${operand.value.dtype} ${formatShape(operand.value.shape)}`
      return `${names.get(operand.node)!}${operand.node.outputs.length > 1 ? `.${operand.index}` : ''}`
    }
    return [...this.inputs, ...this.nodes]
      .map((node, i) => {
        names.set(node, `%${i}`)
        const call = node.op ? `${node.op.name}(${node.inputs.map(name).join(', ')})` : 'input'
        return `%${i} = ${call} ${node.outputs.map((s) => `${s.dtype} ${formatShape(s.shape)}`).join(', ')}`
      })
      .concat(`return ${this.outputs.map(name).join(', ')}`)
      .join('\n')
  }
}

class Recorder implements Tracer {
  readonly nodes: GraphNode[] = []
  readonly #origins = new Map<Placeholder, Operand>()

  bind(
    op: Primitive<never>,
    inputs: readonly (Tensor | Scalar)[],
    attrs: unknown,
    outputs: readonly Spec[],
    into?: readonly Tensor[],
  ): Tensor[] {
    if (into) {
      throw new CotangentError('unsupported', {
        op: op.name,
        message: 'writes in place cannot be traced',
        hint: 'Update parameters outside the traced function.',
      })
    }
    const node: GraphNode = { op, inputs: inputs.map((x) => this.operand(x)), attrs, outputs }
    this.nodes.push(node)
    return this.stand(node)
  }

  /** Tensors without numbers for a node's outputs. */
  stand(node: GraphNode): Tensor[] {
    return node.outputs.map((spec, index) => {
      const placeholder = new Placeholder()
      this.#origins.set(placeholder, { node, index })
      return new Tensor(spec, placeholder, 0)
    })
  }

  operand(x: Tensor | Scalar): Operand {
    return (x instanceof Tensor && x.placeholder ? this.#origins.get(x.placeholder) : undefined) ?? { value: x }
  }
}

/**
 * Runs `f` on tensors that have a spec but no numbers, and returns the ops that it called. Tensors that `f` takes from
 * elsewhere (parameters) become constants of the graph.
 */
export function trace(f: (...args: Tensor[]) => unknown, specs: readonly Spec[]): Graph {
  const recorder = new Recorder()
  const inputs = specs.map((spec): GraphNode => ({ op: null, inputs: [], attrs: undefined, outputs: [spec] }))
  const args = inputs.map((node) => recorder.stand(node)[0]!)
  const result = withModes({ tracer: recorder }, () => f(...args), 'trace')
  const outputs = leavesOf(result, isTensor).map((x) => recorder.operand(x))
  return new Graph(inputs, recorder.nodes, outputs, result)
}
