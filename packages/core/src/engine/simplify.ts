import { elementLevels, type Kernel, type Node } from './kernel.ts'

/**
 * The same kernel over as few axes as possible, for engines that walk axes by loops: axes of extent 1 are dropped, axes are
 * ordered by how far they step in memory, and neighbours that all operands walk as one are merged. A kernel without
 * reductions has parallel axes only, unless it mixes row-level and element-level outputs. There is always a parallel axis.
 */
export function simplify(kernel: Kernel): Kernel {
  const space = new Space(kernel)
  space.settleReduceAxes()
  space.dropUnitAxes()
  space.order()
  space.merge()
  return space.kernel()
}

interface Axis {
  parallel: boolean
  extent: number
  /** Whether an `index` node names the axis. */
  readonly named: boolean
  /** The axis in the original kernel. */
  readonly from: number
  /** One stride an operand: loads in node order, then outputs. */
  strides: number[]
}

class Space {
  readonly #kernel: Kernel
  #axes: Axis[]
  readonly #perElement: readonly boolean[]
  /** For each operand, whether it is element-level. */
  readonly #operandPerElement: readonly boolean[]

  constructor(kernel: Kernel) {
    this.#kernel = kernel
    const rank = kernel.parallel.length
    const loads = kernel.nodes.filter((n) => n.op === 'load')
    const operands = [...loads, ...kernel.outputs]
    this.#perElement = elementLevels(kernel)
    this.#operandPerElement = operands.map(({ strides }) => strides.some((s, axis) => axis >= rank && s !== 0))
    this.#axes = [...kernel.parallel, ...kernel.reduce].map((extent, axis) => ({
      parallel: axis < rank,
      extent,
      named: kernel.nodes.some((n) => n.op === 'index' && n.axis === axis),
      from: axis,
      strides: operands.map((o) => o.strides[axis]!),
    }))
  }

  settleReduceAxes(): void {
    if (this.#kernel.nodes.some((n) => n.op === 'reduce')) return
    const perElement = this.#kernel.outputs.map(
      ({ node }, i) =>
        this.#perElement[node]! || this.#operandPerElement[this.#operandPerElement.length - this.#kernel.outputs.length + i]!,
    )
    if (perElement.every(Boolean)) for (const axis of this.#axes) axis.parallel = true
    else if (!perElement.some(Boolean)) this.#axes = this.#axes.filter((axis) => axis.parallel)
  }

  dropUnitAxes(): void {
    this.#axes = this.#axes.filter((axis) => axis.extent !== 1)
  }

  /** Larger steps first; what counts is the first output for parallel axes, the first element-level operand for the others. */
  order(): void {
    const { nodes, outputs } = this.#kernel
    const ordered = nodes.some((n) => n.op === 'reduce' && (n.combine === 'argmax' || n.combine === 'argmin'))
    const sorted = (axes: Axis[], operand: number) =>
      operand < 0 ? axes : axes.toSorted((a, b) => Math.abs(b.strides[operand]!) - Math.abs(a.strides[operand]!))
    const parallel = this.#axes.filter((a) => a.parallel)
    const reduce = this.#axes.filter((a) => !a.parallel)
    this.#axes = [
      ...sorted(parallel, this.#operandPerElement.length - outputs.length),
      ...sorted(reduce, ordered ? -1 : this.#operandPerElement.indexOf(true)),
    ]
  }

  merge(): void {
    const merged: Axis[] = []
    for (const axis of this.#axes) {
      const last = merged.at(-1)
      const together =
        last &&
        last.parallel === axis.parallel &&
        !last.named &&
        !axis.named &&
        last.strides.every((s, operand) => s === axis.strides[operand]! * axis.extent)
      if (together) {
        last.extent *= axis.extent
        last.strides = axis.strides
      } else {
        merged.push(axis)
      }
    }
    this.#axes = merged
  }

  kernel(): Kernel {
    const { name, inputs, params, nodes, outputs } = this.#kernel
    if (!this.#axes.some((a) => a.parallel)) {
      this.#axes.unshift({ parallel: true, extent: 1, named: false, from: -1, strides: this.#operandPerElement.map(() => 0) })
    }
    let operand = 0
    const nextStrides = () => {
      const strides = this.#axes.map((axis) => axis.strides[operand]!)
      operand++
      return strides
    }
    const place = (axis: number) => this.#axes.findIndex((a) => a.from === axis)
    return {
      kind: 'kernel',
      name,
      inputs,
      params,
      parallel: this.#axes.filter((a) => a.parallel).map((a) => a.extent),
      reduce: this.#axes.filter((a) => !a.parallel).map((a) => a.extent),
      nodes: nodes.map((node): Node => {
        if (node.op === 'load') return { op: 'load', type: node.type, input: node.input, offset: node.offset, strides: nextStrides() }
        if (node.op !== 'index') return node
        const axis = place(node.axis)
        // The only position along an axis that was dropped.
        return axis < 0 ? { op: 'const', type: 'int32', value: 0 } : { ...node, axis }
      }),
      outputs: outputs.map(({ dtype, node }) => ({ dtype, node, strides: nextStrides() })),
    }
  }
}
