import { CotangentError } from '../errors.ts'
import { sameShape } from '../layout.ts'
import { modes, withModes } from '../tensor/modes.ts'
import { adoptStorages, collectStorages, type Storage } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'
import type { Edge, TapeNode } from './tape.ts'

/** Where `backward` begins (a gradient of 1, by default) and what it leaves: without `retainGraph` a graph is walked once. */
export interface BackwardOptions {
  /** Gradient of the final result with respect to this tensor; default 1, for tensors of one element. */
  gradient?: Tensor
  /** Keep what was saved, so that the same graph can be walked again. Default: as `createGraph`. */
  retainGraph?: boolean
  /** Record the gradient computation itself, for gradients of gradients. */
  createGraph?: boolean
}

/** Adds the gradients of `roots` to the `.grad` of every leaf they depend on. */
export function backward(roots: readonly Tensor[], options: BackwardOptions = {}): void {
  walk(
    roots,
    roots.map(() => options.gradient),
    options,
    (leaf, gradient, alone) => {
      const before = leaf.unseenGrad
      const sum = before ? before.add(gradient) : gradient
      if (sum.isTracer) leaf.grad = sum
      else {
        // A parameter's gradient is used after the scope that computed it.
        sum.storage.kept = true
        leaf.leaveGrad(sum, { owned: alone })
        if (before && alone) gradient.storage.release()
      }
    },
  )
}

interface GradientsOptions extends Omit<BackwardOptions, 'gradient'> {
  /** Whether to end at the inputs, though they depend on each other. */
  readonly stop?: boolean
}

/** Gradients of `roots` with respect to `inputs`, null where a root does not depend on one; `.grad` is left alone. */
export function gradientsOf(
  roots: readonly Tensor[],
  inputs: readonly Tensor[],
  seeds: readonly (Tensor | undefined)[],
  options: GradientsOptions = {},
): (Tensor | null)[] {
  const wanted = new Map<TapeNode, Map<number, number>>()
  inputs.forEach((x, i) => {
    if (!x.edge)
      throw new CotangentError('no-gradient', {
        message: `input ${i} does not require gradients`,
        hint: 'Set x.requiresGrad = true before it is used.',
      })
    const { node, index } = x.edge
    if (!wanted.has(node)) wanted.set(node, new Map())
    wanted.get(node)!.set(index, i)
  })
  const found = inputs.map((): Tensor | null => null)
  walk(roots, seeds, options, () => {}, {
    nodes: wanted,
    stop: options.stop ?? false,
    onNode: (node, gradients) => {
      for (const [index, i] of wanted.get(node)!) found[i] = gradients[index] ?? null
    },
  })
  // Inputs named twice share one slot.
  return inputs.map((x, i) => found[i] ?? found[wanted.get(x.edge!.node)!.get(x.edge!.index)!] ?? null)
}

/** `alone`: nobody else has the gradient, or what is computed from it. */
type OnLeaf = (leaf: Tensor, gradient: Tensor, alone: boolean) => void
type OnNode = (node: TapeNode, gradients: readonly (Tensor | undefined)[]) => void

function walk(
  roots: readonly Tensor[],
  seeds: readonly (Tensor | undefined)[],
  options: BackwardOptions,
  onLeaf: OnLeaf,
  targets?: { readonly nodes: ReadonlyMap<TapeNode, unknown>; readonly stop: boolean; readonly onNode: OnNode },
): void {
  const leading = targets && nodesLeadingTo(targets.nodes, roots)
  const leads = (edge: Edge | null): edge is Edge => edge !== null && (leading?.has(edge.node) ?? true)
  const retain = options.retainGraph ?? options.createGraph ?? false
  // A transformation around this may differentiate what is made here, and holds memory that the walk does not see.
  const createGraph = options.createGraph || modes.tracer?.variable !== undefined
  const pending = new Pending(!createGraph)
  // Rules compute in the dtypes of what they are given.
  withModes({ grad: createGraph, autocast: null }, () => {
    roots.forEach((root, i) => {
      const edge = edgeOf(root)
      if (leads(edge)) pending.add(edge, seedFor(root, seeds[i]))
    })
    for (let next = pending.next(); next; next = pending.next()) {
      const { node, gradients } = next
      if (targets?.stop && targets.nodes.has(node)) {
        pending.keep(gradients)
        targets.onNode(node, gradients)
        continue
      }
      runHooks(node, gradients, pending)
      if (targets?.nodes.has(node)) {
        pending.keep(gradients)
        targets.onNode(node, gradients)
      }
      if (node.leaf) {
        const alone = pending.isAlone(gradients[0]!)
        pending.keep(gradients)
        onLeaf(node.leaf, gradients[0]!, alone)
        continue
      }
      pending.within(() => {
        const some = gradients.find((g) => g !== undefined)!
        const full = node.outputSpecs.map((spec, i) => gradients[i] ?? some.newFull(spec.shape, 0, { dtype: spec.dtype }))
        const unused = node.outputSpecs.map((_, i) => gradients[i] === undefined)
        const run = () => node.gradients(full, { wanted: node.edges.map(leads), unused }, refuse)
        const results = modes.anomaly ? modes.anomaly.gradients(node, run) : run()
        node.edges.forEach((edge, i) => {
          const gradient = results[i]
          if (leads(edge) && gradient) pending.add(edge, gradient)
        })
      })
      pending.drop(gradients)
      if (!retain) node.free()
    }
  })
}

/** The nodes whose gradients matter to some of `targets`: parameters that nobody asked about cost nothing. */
function nodesLeadingTo(targets: ReadonlyMap<TapeNode, unknown>, roots: readonly Tensor[]): Set<TapeNode> {
  const reached = new Set<TapeNode>(roots.flatMap((root) => root.edge?.node ?? []))
  for (const node of reached) for (const edge of node.edges) if (edge) reached.add(edge.node)
  // A node is younger than all it was computed from.
  const leading = new Set<TapeNode>()
  for (const node of [...reached].sort((a, b) => a.id - b.id)) {
    if (targets.has(node) || node.edges.some((edge) => edge && leading.has(edge.node))) leading.add(node)
  }
  return leading
}

/**
 * Gradients on their way, nodes in the order in which they were made. While nothing records them, a gradient's memory goes
 * back as soon as its node has used it: nobody else has seen it.
 */
class Pending {
  readonly #owns: boolean
  /** Ascending ids. */
  readonly #order: TapeNode[] = []
  readonly #slots = new Map<TapeNode, (Tensor | undefined)[]>()
  /** How many slots hold a storage. */
  readonly #uses = new Map<Storage, number>()
  /** Storages made during this walk that nobody outside has seen. */
  readonly #own = new Set<Storage>()

  constructor(owns: boolean) {
    this.#owns = owns
  }

  add(edge: Edge, gradient: Tensor): void {
    const slots = this.#slots.get(edge.node) ?? this.#enqueue(edge.node)
    const before = slots[edge.index]
    if (!before) {
      slots[edge.index] = gradient
      this.#hold(gradient)
      return
    }
    this.within(() => {
      slots[edge.index] = before.add(gradient)
      this.#hold(slots[edge.index]!)
    })
    this.drop([before])
  }

  /** Takes the last made node out: all that use its outputs have been dealt with. */
  next(): { node: TapeNode; gradients: (Tensor | undefined)[] } | undefined {
    const node = this.#order.pop()
    if (!node) return undefined
    const gradients = this.#slots.get(node)!
    this.#slots.delete(node)
    return { node, gradients }
  }

  /** Runs a gradient rule; what it made and did not hand on is released. */
  within(body: () => void): void {
    if (!this.#owns) return body()
    for (const storage of collectStorages(body).made) {
      if (this.#uses.has(storage)) this.#own.add(storage)
      else storage.release()
    }
  }

  /** Whether it was made in this walk, and nobody else waits for it or has seen it. */
  isAlone(gradient: Tensor): boolean {
    return !gradient.isTracer && this.#own.has(gradient.storage) && this.#uses.get(gradient.storage) === 1
  }

  /** The user gets to see these: they live on. */
  keep(gradients: readonly (Tensor | undefined)[]): void {
    for (const g of gradients) if (g && !g.isTracer && this.#own.delete(g.storage)) adoptStorages([g.storage])
  }

  drop(gradients: readonly (Tensor | undefined)[]): void {
    for (const g of gradients) {
      if (!g || g.isTracer) continue
      const uses = this.#uses.get(g.storage)! - 1
      if (uses > 0) this.#uses.set(g.storage, uses)
      else {
        this.#uses.delete(g.storage)
        if (this.#own.delete(g.storage)) g.storage.release()
      }
    }
  }

  /** Puts what a hook returned in a gradient's place. */
  replace(before: Tensor, after: Tensor): Tensor {
    if (before !== after) {
      this.#hold(after)
      this.drop([before])
    }
    return after
  }

  #hold(gradient: Tensor): void {
    if (!gradient.isTracer) this.#uses.set(gradient.storage, (this.#uses.get(gradient.storage) ?? 0) + 1)
  }

  #enqueue(node: TapeNode): (Tensor | undefined)[] {
    let low = 0
    for (let high = this.#order.length; low < high;) {
      const middle = (low + high) >>> 1
      if (this.#order[middle]!.id < node.id) low = middle + 1
      else high = middle
    }
    this.#order.splice(low, 0, node)
    const slots: (Tensor | undefined)[] = []
    this.#slots.set(node, slots)
    return slots
  }
}

function edgeOf(root: Tensor): Edge {
  if (root.edge) return root.edge
  throw new CotangentError('no-gradient', {
    op: 'backward',
    message: 'this tensor was not computed from anything that requires gradients',
    shapes: [root.shape],
    dtypes: [root.dtype],
    hint: 'Set requiresGrad on its inputs (parameters have it), and check that it was not made inside noGrad() or cut off by detach().',
  })
}

function seedFor(root: Tensor, seed: Tensor | undefined): Tensor {
  if (seed) {
    if (sameShape(seed.shape, root.shape)) return seed.cast(root.dtype)
    throw new CotangentError('shape-mismatch', {
      op: 'backward',
      message: 'the gradient must have the shape of the tensor',
      shapes: [seed.shape, root.shape],
      hint: "Reshape or expand it to the tensor's shape.",
    })
  }
  if (root.size !== 1) {
    throw new CotangentError('shape-mismatch', {
      op: 'backward',
      message: 'only a tensor of one element has an implicit gradient of 1',
      shapes: [root.shape],
      hint: 'Reduce it to a loss, e.g. with .sum(), or pass { gradient }.',
    })
  }
  return root.newFull(root.shape, 1)
}

function runHooks(node: TapeNode, gradients: (Tensor | undefined)[], pending: Pending): void {
  node.hooks?.forEach((hooks, index) => {
    for (const hook of hooks.slice()) {
      const gradient = gradients[index]
      if (!gradient) continue
      pending.keep([gradient])
      gradients[index] = pending.replace(gradient, hook(gradient) ?? gradient)
    }
  })
}

function refuse(problem: 'freed' | 'modified', name: string): never {
  if (problem === 'freed') {
    throw new CotangentError('released-tensor', {
      op: name,
      message: 'the values that its gradient needs were let go by an earlier backward()',
      hint: 'Pass { retainGraph: true } to the earlier backward().',
    })
  }
  throw new CotangentError('modified-in-place', {
    op: name,
    message: 'a value that its gradient needs was changed in place after it was used',
    hint: 'Make the change after backward(), or on a copy (x.clone()).',
  })
}
