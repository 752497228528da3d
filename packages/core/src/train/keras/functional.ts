import { CotangentError } from '../../errors.ts'
import { Module, type TensorModule } from '../../nn/module.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { isTensorTree } from '../tensor-data.ts'

/** A layer of one input: a module, or a function of a tensor. */
export type LayerLike = TensorModule | { method(input: Tensor): Tensor }['method']

/** A value of a model that is being described: nothing is computed yet. */
export class Node {
  readonly inputs: readonly Node[]
  readonly layer: Module | ((...inputs: Tensor[]) => Tensor) | undefined
  readonly label: string

  constructor(inputs: readonly Node[], layer: Node['layer'], label: string) {
    this.inputs = inputs
    this.layer = layer
    this.label = label
  }

  /** What a layer makes of this: `image.through(new nn.Linear(784, 32)).through(relu)`. A layer that is used twice shares its weights. */
  through(layer: LayerLike): Node {
    return new Node([this], layer as Node['layer'], layer instanceof Module ? layer.constructor.name : layer.name)
  }
}

/** An input of a model. */
export const input = (name = 'input'): Node => new Node([], undefined, name)

/** What a function or module makes of several values: `join([a, b], (a, b) => concat([a, b], -1))`. */
export function join(nodes: readonly Node[], layer: Module | ((...inputs: Tensor[]) => Tensor)): Node {
  return new Node(nodes, layer, layer instanceof Module ? layer.constructor.name : layer.name)
}

export type NodeTree = Node | readonly Node[] | Readonly<Record<string, Node>>

const nodesOf = (tree: NodeTree): readonly (readonly [string, Node])[] =>
  tree instanceof Node ? [['', tree]] : Object.entries(tree as Readonly<Record<string, Node>>)

/** A model that computes nodes from nodes; its inputs and outputs are as they were given: one tensor, an array, or an object. */
export class FunctionalModule extends Module {
  /** Each once, in the order that they are needed in. */
  readonly layers: readonly Module[]
  readonly #inputs: NodeTree
  readonly #outputs: NodeTree
  readonly #order: readonly Node[]

  /** @throws {CotangentError} `invalid-argument` for outputs that depend on an input that is not given. */
  constructor(inputs: NodeTree, outputs: NodeTree) {
    super()
    this.#inputs = inputs
    this.#outputs = outputs
    const given = new Set(nodesOf(inputs).map(([, node]) => node))
    const order = new Set<Node>()
    const visit = (node: Node): void => {
      if (given.has(node) || order.has(node)) return
      if (!node.layer) {
        throw new CotangentError('invalid-argument', {
          op: 'Model',
          message: `the outputs depend on ${node.label}, which is not among the inputs`,
          hint: 'Name every input that outputs are made of.',
        })
      }
      node.inputs.forEach(visit)
      order.add(node)
    }
    nodesOf(outputs).forEach(([, node]) => visit(node))
    this.#order = [...order]
    this.layers = [...new Set(this.#order.map(({ layer }) => layer))].filter((layer) => layer instanceof Module)
  }

  /** Whether these are all of its inputs, where there are several. */
  takes(x: unknown): boolean {
    if (this.#inputs instanceof Node || !isTensorTree(x) || x instanceof Tensor || Array.isArray(x) !== Array.isArray(this.#inputs))
      return false
    const names = Object.keys(this.#inputs)
    return names.length === Object.keys(x).length && names.every((name) => name in x)
  }

  forward(...given: readonly unknown[]): unknown {
    const inputs = nodesOf(this.#inputs)
    const values = new Map<Node, Tensor>()
    const list = inputs.length === given.length && !isNamed(this.#inputs)
    inputs.forEach(([name, node], i) => values.set(node, (list ? given[i] : (given[0] as Record<string, Tensor>)[name]) as Tensor))
    for (const node of this.#order) {
      const args = node.inputs.map((each) => values.get(each)!)
      const { layer } = node
      values.set(node, layer instanceof Module ? (layer.forward as (...args: Tensor[]) => Tensor).apply(layer, args) : layer!(...args))
    }
    const outputs = nodesOf(this.#outputs)
    if (this.#outputs instanceof Node) return values.get(this.#outputs)
    const entries = outputs.map(([name, node]) => [name, values.get(node)!] as const)
    return Array.isArray(this.#outputs) ? entries.map(([, value]) => value) : Object.fromEntries(entries)
  }

  protected override get unnamedFields(): readonly string[] {
    return ['layers']
  }
}

const isNamed = (tree: NodeTree): boolean => !(tree instanceof Node) && !Array.isArray(tree)
