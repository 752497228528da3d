import type { TypedArray } from '../../dtype.ts'
import { elementLevels, type Kernel, type NodeId } from '../kernel.ts'
import { type Combiner, isFloatScalar, type ScalarInstruction, type ScalarType, scalarOps } from '../scalar.ts'
import { castScalar, loadElement, type Num, narrow, roundTo, storeElement } from './storage.ts'

/** Runs a kernel the plain way: every row in turn, every value by its definition. */
export function runKernel(kernel: Kernel, arrays: readonly TypedArray[], offsets: readonly number[], scalars: readonly number[]): void {
  const perElement = elementLevels(kernel)
  const rank = kernel.parallel.length
  const index: number[] = [...kernel.parallel, ...kernel.reduce].map(() => 0)
  const row: (Num | undefined)[] = []
  let element: (Num | undefined)[] = []

  function valueOf(id: NodeId): Num {
    const memo = perElement[id] ? element : row
    return (memo[id] ??= compute(id))
  }

  function compute(id: NodeId): Num {
    const node = kernel.nodes[id]!
    switch (node.op) {
      case 'const':
        return node.value
      case 'param':
        return castScalar(scalars[node.index]!, 'float64', node.type)
      case 'index':
        return index[node.axis]!
      case 'load':
        return loadElement(arrays[node.input]!, kernel.inputs[node.input]!, offsets[node.input]! + at(index, node.strides) + node.offset)
      case 'gather':
        return loadElement(arrays[node.input]!, kernel.inputs[node.input]!, offsets[node.input]! + Number(valueOf(node.args[0])))
      case 'reduce':
        return reduceRow(node.combine, node.args[0])
      case 'select':
        return valueOf(node.args[0]) ? valueOf(node.args[1]) : valueOf(node.args[2])
      case 'cast':
        return castScalar(valueOf(node.args[0]), kernel.nodes[node.args[0]]!.type, node.type)
      case 'narrow':
        return narrow(valueOf(node.args[0]), node.dtype)
      default:
        return roundTo(meaning(node.op, kernel.nodes[node.args[0]!]!.type)(...node.args.map(valueOf)), node.type)
    }
  }

  function reduceRow(combine: Combiner, arg: NodeId): Num {
    const type = kernel.nodes[arg]!.type
    const acc = new Accumulator(combine, type)
    let position = 0
    forEachIndex(kernel.reduce, index, rank, () => {
      element = []
      acc.add(valueOf(arg), position++)
    })
    element = []
    return acc.result()
  }

  forEachIndex(kernel.parallel, index, 0, () => {
    row.length = 0
    const store = (o: number) => {
      const { dtype, node, strides } = kernel.outputs[o]!
      storeElement(arrays[kernel.inputs.length + o]!, dtype, offsets[kernel.inputs.length + o]! + at(index, strides), valueOf(node))
    }
    // All reductions and row-level outputs come before the row's first store: an output may overwrite an input in place.
    kernel.nodes.forEach((node, id) => {
      if (node.op === 'reduce') valueOf(id)
    })
    const whole = kernel.outputs.map((o) => isPerElement(o.node, o.strides))
    for (const { node } of kernel.outputs) if (!perElement[node]) valueOf(node)
    if (whole.includes(true)) {
      forEachIndex(kernel.reduce, index, rank, () => {
        element = []
        const pending = kernel.outputs.map((o, i) => (whole[i] ? valueOf(o.node) : 0))
        pending.forEach((_, o) => {
          if (whole[o]) store(o)
        })
      })
    }
    for (let o = 0; o < whole.length; o++) if (!whole[o]) store(o)
  })

  function isPerElement(node: NodeId, strides: readonly number[]): boolean {
    return perElement[node]! || strides.some((s, axis) => axis >= rank && s !== 0)
  }
}

const at = (index: readonly number[], strides: readonly number[]): number => strides.reduce((sum, s, axis) => sum + s * index[axis]!, 0)

/** Calls `body` for every position of `extents`, row-major, with `index[first...]` set to it. */
export function forEachIndex(extents: readonly number[], index: number[], first: number, body: () => void): void {
  const walk = (axis: number): void => {
    if (axis === extents.length) return body()
    for (let i = 0; i < extents[axis]!; i++) {
      index[first + axis] = i
      walk(axis + 1)
    }
  }
  walk(0)
}

function meaning(op: keyof typeof scalarOps, type: ScalarType): (...args: Num[]) => Num {
  const instruction: ScalarInstruction = scalarOps[op]
  const f = type === 'int64' ? instruction.int64 : isFloatScalar(type) ? instruction.float : (instruction.int32 ?? instruction.float)
  return f as (...args: Num[]) => Num
}

/** Sums and products of floats are kept in double precision, so the oracle's error is one rounding. */
class Accumulator {
  readonly #combine: Combiner
  readonly #type: ScalarType
  #value: Num | undefined
  #position = 0

  constructor(combine: Combiner, type: ScalarType) {
    this.#combine = combine
    this.#type = type
  }

  add(x: Num, position: number): void {
    const old = this.#value
    if (old === undefined) {
      this.#value = x
      this.#position = position
      return
    }
    switch (this.#combine) {
      case 'sum':
        this.#value = this.#exact((old as number) + (x as number))
        return
      case 'prod':
        this.#value = this.#exact(this.#type === 'int32' ? Math.imul(old as number, x as number) : (old as number) * (x as number))
        return
      case 'and':
        this.#value = (old as number) & (x as number)
        return
      case 'or':
        this.#value = (old as number) | (x as number)
        return
      case 'max':
      case 'argmax':
        if (x > old || (Number.isNaN(x) && !Number.isNaN(old))) this.#take(x, position)
        return
      case 'min':
      case 'argmin':
        if (x < old || (Number.isNaN(x) && !Number.isNaN(old))) this.#take(x, position)
    }
  }

  result(): Num {
    if (this.#combine === 'argmax' || this.#combine === 'argmin') return this.#position
    return roundTo(this.#value ?? identity(this.#combine, this.#type), this.#type)
  }

  #take(x: Num, position: number): void {
    if (Number.isNaN(this.#value)) return
    this.#value = x
    this.#position = position
  }

  #exact(x: Num): Num {
    return this.#type === 'float32' ? x : roundTo(x, this.#type)
  }
}

/** What an empty reduction gives. */
function identity(combine: Combiner, type: ScalarType): Num {
  const big = type === 'int64'
  switch (combine) {
    case 'prod':
    case 'and':
      return big ? (combine === 'and' ? -1n : 1n) : combine === 'and' && type === 'int32' ? -1 : 1
    case 'max':
      return extreme(type, -1)
    case 'min':
      return extreme(type, 1)
    default:
      return big ? 0n : 0
  }
}

function extreme(type: ScalarType, sign: 1 | -1): Num {
  switch (type) {
    case 'bool':
      return sign > 0 ? 1 : 0
    case 'int32':
      return sign > 0 ? 2 ** 31 - 1 : -(2 ** 31)
    case 'int64':
      return sign > 0 ? 2n ** 63n - 1n : -(2n ** 63n)
    default:
      return sign * Number.POSITIVE_INFINITY
  }
}
