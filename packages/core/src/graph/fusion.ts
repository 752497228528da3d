import { type Kernel, KernelBuilder, type Node, type NodeId, type Value as ScalarValue } from '../engine/kernel.ts'
import { simplify } from '../engine/simplify.ts'
import type { Scalar } from '../tensor/scalar.ts'
import type { LiveNumber, Value } from './graph.ts'
import { identityMap, type IndexMap, isBijective, mapBetween, type Split, through, type Walk } from './index-map.ts'
import type { Operation, Origin } from './program.ts'
import { splice } from './splice.ts'

/** An operation whose program is a kernel. */
export type KernelOperation = Operation & { readonly program: Kernel }

export const isKernel = (operation: Operation): operation is KernelOperation => operation.program.kind === 'kernel'
export const extentsOf = ({ parallel, reduce }: Kernel): readonly number[] => [...parallel, ...reduce]
export const isElementwise = ({ reduce }: Kernel): boolean => reduce.length === 0

/**
 * The kernel that does the work of two, the second of which reads what the first makes: values go from one to the other
 * without a way through memory.
 *
 * @param keep Values of the first that others need as well, so that they are still written.
 * @returns Null where there is no common index space.
 */
export function fuse(first: KernelOperation, second: KernelOperation, keep: ReadonlySet<Value>): KernelOperation | null {
  if (isElementwise(first.program)) return intoSecond(first, second, keep)
  return isElementwise(second.program) ? intoFirst(first, second, keep) : side(first, second, keep)
}

/** Elementwise code moves into the space of its reader, once for each way in which it is read. */
function intoSecond(made: KernelOperation, original: KernelOperation, keep: ReadonlySet<Value>): KernelOperation | null {
  // Over as few axes as may be, so that they can be cut in other ways.
  const first = { ...made, program: simplify(made.program) }
  return withSplits(original, (second) => {
    const space = extentsOf(second.program)
    const maps = new Map<NodeId, { map: IndexMap; output: number }>()
    for (const { id, node, output } of readsOf(first, second)) {
      const map = mapBetween(walkOf(space, node), outputWalk(first, output))
      if (!map || 'axis' in map) return map
      maps.set(id, { map, output })
    }
    let whole: IndexMap | undefined
    if (keep.size > 0) {
      whole = [...maps.values()].find(({ map }) => isBijective(map, space, first.program.parallel))?.map
      if (!whole) return null
    }
    const weaver = new Weaver(first, second, space.slice(0, second.program.parallel.length), second.program.reduce)
    const spliced = new Map<string, ScalarValue[]>()
    const nodesAt = (map: IndexMap) => {
      const key = JSON.stringify(map)
      let nodes = spliced.get(key)
      if (!nodes) spliced.set(key, (nodes = weaver.add(first, map)))
      return nodes
    }
    const made = weaver.add(second, identityMap(space.length), (id) => {
      const found = maps.get(id)
      return found && weaver.stored(first, nodesAt(found.map), found.output)
    })
    if (whole) weaver.write(first, nodesAt(whole), whole, keep)
    weaver.write(second, made, identityMap(space.length))
    return weaver.done()
  })
}

/** Elementwise code joins the kernel whose results it reads, in that one's space. */
export function intoFirst(original: KernelOperation, second: KernelOperation, keep: ReadonlySet<Value>): KernelOperation | null {
  return withSplits(original, (first) => {
    const space = extentsOf(first.program)
    const rank = first.program.parallel.length
    let split: Split | null = null
    for (const { from, to } of sharedWalks(first, second)) {
      const map = mapBetween(from, to)
      if (map && 'axis' in map) split ??= map
      if (!map || 'axis' in map) continue
      const perRow = map.matrix.every((row) => row.slice(rank).every((factor, k) => factor === 0 || space[rank + k] === 1))
      const covered = perRow ? { ...map, axes: rank, matrix: map.matrix.map((row) => row.slice(0, rank)) } : map
      if (!isBijective(covered, space.slice(0, covered.axes), second.program.parallel)) continue
      if (
        !readsOf(first, second).every(({ node, output }) =>
          sameWalk(space, through(map, node.strides, node.offset), outputWalk(first, output)),
        )
      )
        continue
      return weaveSide(first, second, identityMap(space.length), map, keep, first.program.parallel, first.program.reduce)
    }
    return split
  })
}

/** Two kernels over the same rows. */
function side(first: KernelOperation, original: KernelOperation, keep: ReadonlySet<Value>): KernelOperation | null {
  return withSplits(original, (second) => {
    const space = extentsOf(second.program)
    const rank = second.program.parallel.length
    const own = first.program.parallel.length
    let split: Split | null = null
    for (const { from, to } of sharedWalks(second, first)) {
      const map = mapBetween(from, to)
      if (map && 'axis' in map) split ??= map
      if (!map || 'axis' in map || !isBijective(map, space, extentsOf(first.program))) continue
      // Rows are rows of both.
      const together = map.matrix.every((row, j) => row.every((factor, k) => factor === 0 || space[k] === 1 || j < own === k < rank))
      if (!together) continue
      const agrees = readsOf(first, second).every(({ node, output }) => {
        const walk = outputWalk(first, output)
        return sameWalk(space, node, { ...through(map, walk.strides, walk.offset) })
      })
      if (!agrees) continue
      return weaveSide(first, second, map, identityMap(space.length), keep, second.program.parallel, second.program.reduce)
    }
    return split
  })
}

/** Both kernels' code over one space, values of the first going straight to the second. */
function weaveSide(
  first: KernelOperation,
  second: KernelOperation,
  mapOfFirst: IndexMap,
  mapOfSecond: IndexMap,
  keep: ReadonlySet<Value>,
  parallel: readonly number[],
  reduce: readonly number[],
): KernelOperation {
  const weaver = new Weaver(first, second, parallel, reduce)
  const nodes = weaver.add(first, mapOfFirst)
  const reads = new Map(readsOf(first, second).map(({ id, output }) => [id, output]))
  const made = weaver.add(second, mapOfSecond, (id) => {
    const output = reads.get(id)
    return output === undefined ? undefined : weaver.stored(first, nodes, output)
  })
  weaver.write(first, nodes, mapOfFirst, keep)
  weaver.write(second, made, mapOfSecond)
  return weaver.done()
}

/** A kernel under construction from several. */
class Weaver {
  readonly #k: KernelBuilder
  readonly #values: Value[] = []
  readonly #numbers: (Scalar | LiveNumber)[] = []
  readonly #params: ScalarValue[] = []
  readonly #outputs: { value: Value; offset: number }[] = []
  readonly #origins: readonly Origin[]
  readonly #inner: ReadonlySet<Value>

  constructor(first: KernelOperation, second: KernelOperation, parallel: readonly number[], reduce: readonly number[]) {
    const names = new Set([first, second].flatMap(({ program }) => program.name.split('+')))
    this.#k = new KernelBuilder([...names].join('+'), parallel, reduce)
    this.#origins = [...first.origins, ...second.origins.filter((o) => !first.origins.includes(o))]
    this.#inner = new Set(first.outputs.map(({ value }) => value))
  }

  add(operation: KernelOperation, map: IndexMap, instead?: (node: NodeId) => ScalarValue | undefined): ScalarValue[] {
    const { program, inputs, numbers } = operation
    const at = inputs.map(({ value }) => (instead && this.#inner.has(value) ? -1 : this.#input(value)))
    const params = program.params.map((type, i) => this.#param(type, numbers[i]!))
    return splice(this.#k, {
      kernel: program,
      map,
      inputs: at.map((input) => ({ at: input, offset: 0 })),
      params,
      ...(instead && { instead }),
    })
  }

  /** The value of an output as it would be read back: rounded to its dtype. */
  stored(operation: KernelOperation, nodes: readonly ScalarValue[], output: number): ScalarValue {
    const { dtype, node } = operation.program.outputs[output]!
    return this.#k.narrow(nodes[node]!, dtype)
  }

  write(operation: KernelOperation, nodes: readonly ScalarValue[], map: IndexMap, only?: ReadonlySet<Value>): void {
    operation.program.outputs.forEach(({ dtype, node, strides }, i) => {
      const { value, offset } = operation.outputs[i]!
      if (only && !only.has(value)) return
      const moved = through(map, strides, offset)
      this.#k.output(dtype, nodes[node]!, moved.strides)
      this.#outputs.push({ value, offset: moved.offset })
    })
  }

  done(): KernelOperation {
    return prune({
      program: this.#k.build(),
      inputs: this.#values.map((value) => ({ value, offset: 0 })),
      outputs: this.#outputs,
      numbers: this.#numbers,
      origins: this.#origins,
    })
  }

  #input(value: Value): number {
    const known = this.#values.indexOf(value)
    if (known >= 0) return known
    this.#values.push(value)
    return this.#k.input(value.dtype)
  }

  #param(type: Parameters<KernelBuilder['param']>[0], number: Scalar | LiveNumber): ScalarValue {
    const known = this.#numbers.findIndex((n, i) => n === number && this.#k.typeOf(this.#params[i]!) === type)
    if (known >= 0) return this.#params[known]!
    this.#numbers.push(number)
    this.#params.push(this.#k.param(type))
    return this.#params.at(-1)!
  }
}

/** An operation without the inputs and params that its code turned out not to need. */
export function prune(operation: Omit<KernelOperation, 'program'> & { readonly program: Kernel }): KernelOperation {
  const { program, inputs, numbers } = operation
  const { nodes } = program
  const used = inputs.map((_, i) => nodes.some((n) => (n.op === 'load' || n.op === 'gather') && n.input === i))
  const usedParams = numbers.map((_, i) => nodes.some((n) => n.op === 'param' && n.index === i))
  const place = (flags: readonly boolean[], at: number) => flags.slice(0, at).filter(Boolean).length
  const renumber = (node: Node): Node => {
    if (node.op === 'load' || node.op === 'gather') return { ...node, input: place(used, node.input) }
    return node.op === 'param' ? { ...node, index: place(usedParams, node.index) } : node
  }
  return {
    ...operation,
    program: {
      ...program,
      inputs: program.inputs.filter((_, i) => used[i]),
      params: program.params.filter((_, i) => usedParams[i]),
      nodes: nodes.map(renumber),
    },
    inputs: inputs.filter((_, i) => used[i]),
    numbers: numbers.filter((_, i) => usedParams[i]),
  }
}

/** The loads by which `second` reads outputs of `first`. */
function readsOf(first: KernelOperation, second: KernelOperation) {
  return second.program.nodes.flatMap((node, id) => {
    if (node.op !== 'load') return []
    const output = first.outputs.findIndex((o) => o.value === second.inputs[node.input]!.value)
    return output < 0 ? [] : [{ id, node, output }]
  })
}

/** Pairs of walks over the same memory: `from` in the space of `a`, `to` in that of `b`. */
function* sharedWalks(a: KernelOperation, b: KernelOperation): Iterable<{ from: Walk; to: Walk }> {
  for (const one of walksOf(a)) for (const other of walksOf(b)) if (one.value === other.value) yield { from: one, to: other }
}

function walksOf({ program, inputs, outputs }: KernelOperation): (Walk & { value: Value })[] {
  const extents = extentsOf(program)
  return [
    ...program.nodes.flatMap((n) => (n.op === 'load' ? [{ ...walkOf(extents, n), value: inputs[n.input]!.value }] : [])),
    ...program.outputs.map(({ strides }, i) => ({ extents, strides, offset: outputs[i]!.offset, value: outputs[i]!.value })),
  ]
}

const walkOf = (extents: readonly number[], { strides, offset }: { strides: readonly number[]; offset: number }): Walk => ({
  extents,
  strides,
  offset,
})

const outputWalk = ({ program, outputs }: KernelOperation, output: number): Walk => ({
  extents: extentsOf(program),
  strides: program.outputs[output]!.strides,
  offset: outputs[output]!.offset,
})

function sameWalk(
  extents: readonly number[],
  a: { strides: readonly number[]; offset: number },
  b: { strides: readonly number[]; offset: number },
): boolean {
  return a.offset === b.offset && a.strides.every((s, k) => s === b.strides[k] || extents[k] === 1)
}

/** Tries with axes cut as the attempt asks for, until it needs no more. */
function withSplits(
  operation: KernelOperation,
  attempt: (operation: KernelOperation) => KernelOperation | Split | null,
): KernelOperation | null {
  for (let tries = 0; tries < 8; tries++) {
    const result = attempt(operation)
    if (!result || !('axis' in result)) return result
    operation = splitAxis(operation, result)
  }
  return null
}

/** The same kernel with one axis as two. */
function splitAxis(operation: KernelOperation, { axis, inner }: Split): KernelOperation {
  const { program } = operation
  const extents = extentsOf(program)
  const cut = extents.flatMap((n, k) => (k === axis ? [n / inner, inner] : [n]))
  const rank = program.parallel.length + (axis < program.parallel.length ? 1 : 0)
  const map: IndexMap = {
    axes: cut.length,
    matrix: extents.map((_, j) =>
      cut.map((__, k) => (j === axis ? (k === axis ? inner : Number(k === axis + 1)) : Number(k === (j < axis ? j : j + 1)))),
    ),
    shift: extents.map(() => 0),
  }
  const k = new KernelBuilder(program.name, cut.slice(0, rank), cut.slice(rank))
  const inputs = program.inputs.map((dtype) => ({ at: k.input(dtype), offset: 0 }))
  const nodes = splice(k, { kernel: program, map, inputs, params: program.params.map((type) => k.param(type)) })
  for (const { dtype, node, strides } of program.outputs) k.output(dtype, nodes[node]!, through(map, strides).strides)
  return { ...operation, program: k.build() }
}
