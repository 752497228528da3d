import type { Graph } from 'cotangent'

type Node = Graph['nodes'][number]
type Operand = Node['inputs'][number]
type Read = Graph['inputs'][number]
type Value = Read['value']
type Storage = Extract<Value['source'], { kind: 'captured' }>['storage']

/** Where each op of a graph belongs, as a path: `layer1/0/conv1`, `gradients/layer1/0/conv1`, `optimizer/layer1/0/conv1`; '' is outermost. */
export type Scopes = ReadonlyMap<Node, string>

/**
 * Finds the modules that ops belong to. A graph knows no modules, but which parameters an op reads, and in which order ops ran:
 *
 * - an op on the way to the results is of the module whose parameters it reads, and without any, of the one around the last such;
 * - one that writes a parameter is the optimiser's;
 * - any other is of the gradient of the module whose parameter it leads to, or whose values it reads; where it reads no gradient, as
 *   running means do, of that module itself.
 *
 * @param names Of parameters, with dots between modules.
 */
export function moduleScopes(graph: Graph, names: ReadonlyMap<Storage, string>): Scopes {
  const moduleOf = (storage: Storage): string | undefined => names.get(storage)?.split('.').slice(0, -1).join('/')
  const forward = ancestors(graph)
  const updated = updates(graph, names)
  /** Modules whose parameters the op that reads a value updates. */
  const leadsTo = new Map<Value, string>()
  for (const [node, storage] of updated) for (const read of readsOf(node)) leadsTo.set(read.value, moduleOf(storage)!)

  const scopes = new Map<Node, string>()
  const gradients = new Set<Node>()
  let leaf = ''
  let lastGradient = ''
  for (const node of graph.nodes) {
    const reads = readsOf(node)
    const own = reads.flatMap(({ value }) => {
      const module = value.source.kind === 'captured' ? moduleOf(value.source.storage) : undefined
      return module === undefined ? [] : [module]
    })
    const makers = reads.flatMap(({ value }) => makersOf(value))
    const storage = updated.get(node)
    if (storage) {
      scopes.set(node, join('optimizer', moduleOf(storage)!))
    } else if (forward.has(node)) {
      if (own.length > 0) leaf = own.reduce(common)
      scopes.set(node, own.length > 0 ? leaf : leaf.split('/').slice(0, -1).join('/'))
    } else if (makers.length > 0 && !makers.some((maker) => gradients.has(maker))) {
      scopes.set(node, scopes.get(makers.at(-1)!)!)
    } else {
      gradients.add(node)
      const target = node.outputs.map(({ value }) => leadsTo.get(value)).find((module) => module !== undefined)
      const seen = makers.findLast((maker) => forward.has(maker))
      lastGradient = target ?? (own.length > 0 ? own.reduce(common) : seen ? scopes.get(seen)! : lastGradient)
      scopes.set(node, join('gradients', lastGradient))
    }
  }
  return scopes
}

const readsOf = (node: Node): Read[] => node.inputs.filter((operand: Operand): operand is Read => 'offset' in operand)

/** The ops that a value is the result of: several where memory is written part by part. */
function makersOf({ source }: Value): Node[] {
  if (source.kind === 'result') return [source.node]
  return source.kind === 'update' ? [...makersOf(source.of), source.node] : []
}

/** The ops that results follow from. */
function ancestors({ outputs }: Graph): Set<Node> {
  const found = new Set<Node>()
  const waiting = outputs.flatMap(({ value }) => makersOf(value))
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (found.has(node)) continue
    found.add(node)
    for (const { value } of readsOf(node)) waiting.push(...makersOf(value))
  }
  return found
}

/** The ops that write parameters, with those. */
function updates({ writes }: Graph, names: ReadonlyMap<Storage, string>): Map<Node, Storage> {
  const found = new Map<Node, Storage>()
  for (const [{ source }, written] of writes) {
    if (source.kind !== 'captured' || !names.has(source.storage)) continue
    for (const node of makersOf(written)) found.set(node, source.storage)
  }
  return found
}

const join = (...parts: readonly string[]): string => parts.filter((part) => part !== '').join('/')

/** The innermost module that holds both. */
function common(a: string, b: string): string {
  const [as, bs] = [a.split('/'), b.split('/')]
  const end = as.findIndex((part, i) => part !== bs[i])
  return (end < 0 ? as : as.slice(0, end)).join('/')
}
