import type { Graph } from 'cotangent'

type Node = Graph['nodes'][number]
type Operand = Node['inputs'][number]
type Read = Graph['inputs'][number]
type Value = Read['value']
type Storage = Extract<Value['source'], { kind: 'captured' }>['storage']

/**
 * Finds the modules that ops belong to: a path for each, such as `layer1/0/conv1` or `gradients/layer1/0/conv1`; '' is outermost. A graph knows
 * no modules, but which parameters an op reads, in which order ops ran, and whether `backward` called them:
 *
 * - an op on the way to results and gradients is of the module whose parameters it reads, and without any, of the one around the last such;
 * - one of the backward pass is under `gradients`, in the module whose parameter it leads to, or else whose values it reads;
 * - what comes behind that is the optimiser's, in the module whose parameter it writes;
 * - what leads to a buffer, as a running mean, is of that buffer's module, and anything else, as a metric, is `statistics`.
 *
 * @param names Of parameters and buffers, with dots between modules.
 */
export function moduleScopes(graph: Graph, names: ReadonlyMap<Storage, string>): ReadonlyMap<Node, string> {
  const moduleOf = (storage: Storage): string | undefined => names.get(storage)?.split('.').slice(0, -1).join('/')
  const gradients = backwardPass(graph)
  const forward = ancestors(graph, gradients)
  const written = writtenModules(graph, moduleOf)
  /** Modules by the values that an op which writes their memory reads. */
  const leadsTo = new Map<Value, string>()
  const targetOf = (node: Node) =>
    written.get(node) ?? node.outputs.map(({ value }) => leadsTo.get(value)).find((module) => module !== undefined)
  for (const node of graph.nodes.toReversed()) {
    // Through any number of ops that serve nothing else; every gradient leads to all before it.
    const target = gradients.has(node) ? written.get(node) : forward.has(node) ? undefined : targetOf(node)
    if (target !== undefined) for (const { value } of readsOf(node)) leadsTo.set(value, target)
  }

  const scopes = new Map<Node, string>()
  let leaf = ''
  let lastGradient = ''
  for (const node of graph.nodes) {
    const reads = readsOf(node)
    const own = reads.flatMap(({ value: { source } }) => (source.kind === 'captured' ? (moduleOf(source.storage) ?? []) : []))
    if (gradients.has(node) && !isOfBackward(node)) {
      scopes.set(node, join('optimizer', written.get(node) ?? ''))
    } else if (gradients.has(node)) {
      const seen = reads.flatMap(({ value }) => makersOf(value)).findLast((maker) => forward.has(maker))
      lastGradient = targetOf(node) ?? (own.length > 0 ? own.reduce(common) : seen ? scopes.get(seen)! : lastGradient)
      scopes.set(node, join('gradients', lastGradient))
    } else if (forward.has(node)) {
      if (own.length > 0) leaf = own.reduce(common)
      scopes.set(node, own.length > 0 ? leaf : leaf.split('/').slice(0, -1).join('/'))
    } else {
      scopes.set(node, targetOf(node) ?? 'statistics')
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

/** Was an op recorded within a call of `backward`? The names of methods survive minifiers. */
const isOfBackward = ({ origin }: Node): boolean => /^\s*at (?:\S+\.)?backward \(|^(?:\S+\.)?backward@/m.test(origin.stack ?? '')

/** The ops of the backward pass, and all that follow from them. */
function backwardPass({ nodes }: Graph): Set<Node> {
  const found = new Set<Node>()
  for (const node of nodes) {
    if (isOfBackward(node) || readsOf(node).some(({ value }) => makersOf(value).some((maker) => found.has(maker)))) found.add(node)
  }
  return found
}

/** The ops that results, and what gradients need, follow from. */
function ancestors({ nodes, outputs }: Graph, gradients: ReadonlySet<Node>): Set<Node> {
  const found = new Set<Node>()
  const needed = nodes.filter((node) => gradients.has(node)).flatMap(readsOf)
  const waiting = [...outputs, ...needed].flatMap(({ value }) => makersOf(value))
  for (let node = waiting.pop(); node; node = waiting.pop()) {
    if (found.has(node) || gradients.has(node)) continue
    found.add(node)
    for (const { value } of readsOf(node)) waiting.push(...makersOf(value))
  }
  return found
}

/** The ops that write memory which has a name, with the module of that. */
function writtenModules({ writes }: Graph, moduleOf: (storage: Storage) => string | undefined): Map<Node, string> {
  const found = new Map<Node, string>()
  for (const [{ source }, value] of writes) {
    const module = source.kind === 'captured' ? moduleOf(source.storage) : undefined
    if (module !== undefined) for (const node of makersOf(value)) found.set(node, module)
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
