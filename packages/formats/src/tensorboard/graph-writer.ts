import type { Compiled, Graph, Tensor } from 'cotangent'
import type { FieldsOf } from '../protobuf/message.ts'
import type { GraphNodeRecord } from './event.ts'
import { moduleScopes } from './graph-scopes.ts'
import { GraphDef } from './schema.ts'
import { invalid } from './values.ts'

/** How a program's graph is named. */
export interface GraphOptions {
  /**
   * Tensors by the names that they are to have: `model.namedParameters()`, and `model.namedBuffers()`. What comes before a name's last dot is a
   * module: ops are nested into the modules whose parameters they work on, those of the backward pass into the same under `gradients` and
   * `optimizer`.
   */
  readonly names?: ReadonlyMap<string, Tensor>
}

/** A compiled function that was called (its latest program), its graph, or nodes of any other graph. */
export type GraphInput = Compiled<(...args: never[]) => unknown> | Graph | readonly NodeInput[]
/** A node of a graph; what is left out is empty. */
export type NodeInput = Pick<GraphNodeRecord, 'name' | 'op'> & Partial<GraphNodeRecord>

type Operand = Graph['nodes'][number]['inputs'][number]
type Read = Graph['inputs'][number]
type Value = Read['value']

/** A GraphDef of the ops that a function runs, with its arguments, the tensors that it captured and its results. */
export function encodeGraph(input: GraphInput, options: GraphOptions = {}): Uint8Array {
  const nodes = Array.isArray(input)
    ? (input as readonly NodeInput[])
    : graphNodes(graphOf(input as Exclude<GraphInput, readonly NodeInput[]>), options)
  return GraphDef.encode({
    node: nodes.map(({ name, op, inputs = [], device = '', shapes, attributes }) => ({
      name,
      op,
      input: inputs,
      device,
      attr: new Map<string, AttributeFields>([
        ...[...(attributes ?? [])].map(([key, text]): [string, AttributeFields] => [key, { s: new TextEncoder().encode(text) }]),
        ...(shapes ? [['_output_shapes', { list: { shape: shapes.map(shapeOf) } }] as [string, AttributeFields]] : []),
      ]),
    })),
    versions: { producer: 22 },
  })
}

type NodeFields = NonNullable<FieldsOf<typeof GraphDef>['node']>[number]
type AttributeFields = NonNullable<NodeFields['attr']> extends ReadonlyMap<string, infer A> ? A : never

const shapeOf = (shape: readonly number[]) => ({ dim: shape.map((size) => ({ size })) })

function graphOf(input: Exclude<GraphInput, readonly NodeInput[]>): Graph {
  if (typeof input !== 'function') return input
  // A plain function, which the types refuse, has none either.
  const last = (input as Partial<typeof input>).specializations?.at(-1)
  if (!last) throw invalid('graph', 'this function has no program yet', 'compile() it, and call it or specialize() it for arguments.')
  return last.executable.program.graph
}

function graphNodes(graph: Graph, { names = new Map() }: GraphOptions): NodeInput[] {
  const { inputs, nodes, outputs } = graph
  const made: NodeInput[] = []
  const taken = new Map<string, number>()
  const unique = (wanted: string): string => {
    // TensorFlow's names: a letter, digit or dot, then those and _ - /.
    const name = wanted.replaceAll(/[^A-Za-z0-9_./-]/g, '_').replace(/^[^A-Za-z0-9.]/, '.')
    const before = taken.get(name) ?? 0
    taken.set(name, before + 1)
    return before === 0 ? name : unique(`${name}_${before}`)
  }
  const parameters = new Map([...names].map(([name, tensor]) => [tensor.storage, name]))
  const found = new Map<Value, string>()
  const scopes = moduleScopes(graph, parameters)
  const within = (scope: string, name: string) => (scope === '' ? name : `${scope}/${name}`)
  const nodeNames = new Map(nodes.map((node) => [node, unique(within(scopes.get(node)!, node.op.name))]))

  const add = (name: string, op: string, { value, spec }: Read): string => {
    const unused = unique(name)
    made.push({ name: unused, op, shapes: [spec.shape], attributes: new Map([['dtype', value.dtype]]) })
    found.set(value, unused)
    return unused
  }
  /** @param scope Of the op that reads it: what has no name of its own is a part of that. */
  const nameOf = (read: Read, scope = ''): string => {
    const { value } = read
    const { source } = value
    if (source.kind === 'result' || source.kind === 'update') {
      return source.index > 0 && source.kind === 'result' ? `${nodeNames.get(source.node)!}:${source.index}` : nodeNames.get(source.node)!
    }
    const known = found.get(value)
    if (known) return known
    if (source.kind === 'argument') return add(`argument_${source.index}`, 'Argument', read)
    if (source.kind === 'gradient') return add(within(scope, 'grad'), 'Gradient', read)
    const name = parameters.get(source.storage)
    return name === undefined ? add(within(scope, 'captured'), 'Captured', read) : add(name.replaceAll('.', '/'), 'Parameter', read)
  }

  for (const input of inputs) nameOf(input)
  for (const node of nodes) {
    made.push({
      name: nodeNames.get(node)!,
      op: node.op.name,
      inputs: [...new Set(node.inputs.filter(isRead).map((read) => nameOf(read, scopes.get(node))))],
      shapes: node.outputs.map(({ spec }) => spec.shape),
      attributes: new Map([...attributesOf(node.attrs), ['dtype', node.outputs.map(({ value }) => value.dtype).join(', ')]]),
    })
  }
  outputs.forEach((read, i) => {
    made.push({ name: unique(`result_${i}`), op: 'Result', inputs: [nameOf(read)], shapes: [read.spec.shape] })
  })
  return made
}

const isRead = (operand: Operand): operand is Read => 'offset' in operand

/** Options of an op that can be shown: numbers, words and lists of them. */
function attributesOf(attrs: unknown): [string, string][] {
  if (typeof attrs !== 'object' || attrs === null) return []
  return Object.entries(attrs).flatMap(([key, value]): [string, string][] => {
    if (['number', 'string', 'boolean', 'bigint'].includes(typeof value)) return [[key, String(value)]]
    return Array.isArray(value) && value.every((x) => ['number', 'string', 'boolean'].includes(typeof x))
      ? [[key, `[${value.join(', ')}]`]]
      : []
  })
}
