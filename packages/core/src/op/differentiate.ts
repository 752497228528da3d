import { argsOf, type KernelBuilder, type Node, type NodeId, type Value } from '../engine/kernel.ts'
import { isFloatScalar, scalarOps } from '../engine/scalar.ts'

const zero = (k: KernelBuilder, like: Value): Value => k.like(like, 0)

/** A value to differentiate by, and whether it counts as another one at each element of a row. */
interface Variable {
  readonly value: Value
  readonly perElement: boolean
}

/**
 * Reverse-mode differentiation of scalar code, within the kernel under construction.
 *
 * @param seeds Adjoints of some values (each of its value's type).
 * @param inputs What to differentiate by; how they came about is not looked into.
 * @returns The adjoint of each input, undefined where it is zero. That of an input which is one for the whole row is summed
 *   over the reduction axes.
 */
export function differentiate(
  k: KernelBuilder,
  seeds: readonly { readonly of: Value; readonly adjoint: Value }[],
  inputs: readonly Variable[],
): (Value | undefined)[] {
  const last = Math.max(-1, ...seeds.map((s) => s.of))
  const nodes = k.nodes.slice(0, last + 1)
  const stop = new Set<NodeId>(inputs.map((x) => x.value))
  const perElement = levels(nodes, k.parallel.length, inputs)
  const active = dependents(nodes, stop)
  const adjoints: Sum[] = []
  const sumOf = (id: NodeId): Sum => (adjoints[id] ??= new Sum(k, !perElement[id]))
  for (const { of, adjoint } of seeds) sumOf(of).add(adjoint, perElement[of]!)

  for (let id = last; id >= 0; id--) {
    const node = nodes[id]!
    if (stop.has(id) || !active[id] || !isFloatScalar(node.type)) continue
    const g = adjoints[id]?.total()
    if (g === undefined) continue
    const args = argsOf(node) as readonly Value[]
    const into = contributions(k, node, g, id as Value, args)
    args.forEach((arg, i) => {
      const contribution = into[i]
      // A value that feeds a reduction does so once an element, wherever its adjoint lives.
      if (contribution !== undefined && active[arg] && isFloatScalar(nodes[arg]!.type)) {
        sumOf(arg).add(contribution, node.op === 'reduce' || perElement[id]!)
      }
    })
  }
  return inputs.map((x) => adjoints[x.value]?.total())
}

function levels(nodes: readonly Node[], rank: number, inputs: readonly Variable[]): boolean[] {
  const declared = new Map<NodeId, boolean>(inputs.map((x) => [x.value, x.perElement]))
  const perElement: boolean[] = []
  nodes.forEach((node, id) => {
    const own =
      node.op === 'load' ? node.strides.some((s, axis) => axis >= rank && s !== 0) : node.op === 'index' ? node.axis >= rank : false
    const follows = node.op !== 'reduce' && argsOf(node).some((a) => perElement[a])
    perElement.push(declared.get(id) ?? (own || follows))
  })
  return perElement
}

/** Which nodes depend on one of `roots`. */
function dependents(nodes: readonly Node[], roots: ReadonlySet<NodeId>): boolean[] {
  const active: boolean[] = []
  nodes.forEach((node, id) => active.push(roots.has(id) || argsOf(node).some((a) => active[a])))
  return active
}

/** What each operand's adjoint gets from the adjoint `g` of a node. */
export function contributions(k: KernelBuilder, node: Node, g: Value, y: Value, args: readonly Value[]): readonly (Value | undefined)[] {
  switch (node.op) {
    case 'const':
    case 'param':
    case 'index':
    case 'load':
      return []
    case 'gather':
      throw new TypeError('a gather inside scalar code has no gradient there: give the op a rule of its own')
    case 'select':
      return [undefined, k.select(args[0]!, g, zero(k, g)), k.select(args[0]!, zero(k, g), g)]
    case 'cast':
    case 'narrow': {
      const type = k.typeOf(args[0]!)
      return [isFloatScalar(type) ? k.cast(g, type) : undefined]
    }
    case 'reduce':
      return [reduceAdjoint(k, node, g, y, args[0]!)]
    default:
      return scalarOps[node.op].derivative?.(k, g, y, ...args) ?? []
  }
}

export function reduceAdjoint(k: KernelBuilder, node: Node & { op: 'reduce' }, g: Value, y: Value, x: Value): Value | undefined {
  switch (node.combine) {
    case 'sum':
      return g
    case 'prod': {
      // The product of all the others, also where some are zero.
      const isZero = k.eq(x, zero(k, x))
      const zeros = k.reduce('sum', k.select(isZero, k.like(x, 1), zero(k, x)))
      const others = k.reduce('prod', k.select(isZero, k.like(x, 1), x))
      const atZero = k.select(k.eq(zeros, k.like(x, 1)), others, zero(k, x))
      const elsewhere = k.select(k.eq(zeros, zero(k, x)), k.div(y, x), zero(k, x))
      return k.mul(g, k.select(isZero, atZero, elsewhere))
    }
    case 'max':
    case 'min': {
      // Shared evenly among equal extrema, as PyTorch's amax does.
      const one = k.like(x, 1)
      const isExtremum = k.eq(x, y)
      const count = k.reduce('sum', k.select(isExtremum, one, zero(k, x)))
      return k.select(isExtremum, k.div(g, count), zero(k, x))
    }
    default:
      return undefined
  }
}

/** An adjoint under construction: contributions that differ from element to element are summed if the value does not. */
class Sum {
  readonly #k: KernelBuilder
  readonly #reduced: boolean
  #once: Value | undefined
  #perElement: Value | undefined

  constructor(k: KernelBuilder, reduced: boolean) {
    this.#k = k
    this.#reduced = reduced
  }

  add(x: Value, perElement: boolean): void {
    if (this.#reduced && perElement) this.#perElement = this.#plus(this.#perElement, x)
    else this.#once = this.#plus(this.#once, x)
  }

  total(): Value | undefined {
    return this.#perElement === undefined ? this.#once : this.#plus(this.#once, this.#k.reduce('sum', this.#perElement))
  }

  #plus(a: Value | undefined, b: Value): Value {
    return a === undefined ? b : this.#k.add(a, b)
  }
}
