import { dtypeInfo } from '../dtype.ts'
import type { Control, ControlOperand } from '../engine/control.ts'
import type { Program } from '../engine/engine.ts'
import { elementLevels, type Kernel, type Node } from '../engine/kernel.ts'
import type { Operand, Routine, RoutineAttrs, RoutineName } from '../engine/routine.ts'
import { workOfNode } from '../engine/scalar.ts'
import { sizeOf as product } from '../layout.ts'

/** What running a program once takes, whichever engine it runs on. */
export interface Cost {
  /** Bytes of its inputs that it looks at, each counted once. */
  readonly bytesRead: number
  readonly bytesWritten: number
  /** Scalar arithmetic: a multiply-add is two. Functions such as `exp` count as the arithmetic of a usual polynomial for them. */
  readonly flops: number
}

const bytesOf = (operands: readonly ControlOperand[]): number =>
  operands.reduce((sum, { dtype, shape }) => sum + dtypeInfo[dtype].size * product(shape), 0)

/**
 * Of control flow, what goes in and out: what it runs, and how often, only running tells.
 *
 * @param sizes Elements of each input's memory, where they are known: no more than that can be read.
 */
export function costOf(program: Program | Control, sizes: readonly number[] = []): Cost {
  if (program.kind === 'control') return { bytesRead: bytesOf(program.inputs), bytesWritten: bytesOf(program.outputs), flops: 0 }
  return program.kind === 'kernel' ? kernelCost(program, sizes) : routineCost(program, sizes)
}

function kernelCost(kernel: Kernel, sizes: readonly number[]): Cost {
  const extents = [...kernel.parallel, ...kernel.reduce]
  return {
    bytesRead: kernel.inputs.reduce((sum, dtype, i) => sum + dtypeInfo[dtype].size * elementsRead(kernel, i, sizes[i]), 0),
    bytesWritten: kernel.outputs.reduce((sum, { dtype, strides }) => sum + dtypeInfo[dtype].size * reached(extents, strides), 0),
    flops: kernelFlops(kernel),
  }
}

function kernelFlops(kernel: Kernel): number {
  const levels = elementLevels(kernel)
  const rows = product(kernel.parallel)
  const elements = rows * product(kernel.reduce)
  return kernel.nodes.reduce((sum, node, id) => {
    return sum + workOfNode(node) * (levels[id] || node.op === 'reduce' ? elements : rows)
  }, 0)
}

/** Elements of an input that a kernel's loads name: those with the same strides in one place, or side by side. */
function elementsRead({ nodes, parallel, reduce }: Kernel, input: number, size = Number.POSITIVE_INFINITY): number {
  const extents = [...parallel, ...reduce]
  const reads = (node: Node) => (node.op === 'load' || node.op === 'gather') && node.input === input
  let sum = 0
  for (const node of nodes.filter(reads)) {
    if (node.op === 'load') sum += reached(extents, node.strides)
    else if (node.op === 'gather') sum += product(extents)
  }
  return Math.min(sum, size)
}

/** Different elements along strides. */
function reached(extents: readonly number[], strides: readonly number[]): number {
  if (extents.includes(0)) return 0
  const moved = product(extents.filter((_, axis) => strides[axis] !== 0))
  const span = extents.reduce((sum, extent, axis) => sum + (extent - 1) * Math.abs(strides[axis]!), 1)
  return Math.min(moved, span)
}

const operandBytes = ({ dtype, shape, strides }: Operand): number => dtypeInfo[dtype].size * reached(shape, strides)

function routineCost(routine: Routine, sizes: readonly number[]): Cost {
  const { epilogue, inputs, outputs } = routine
  const own = epilogue ? inputs.length - epilogue.inputs.length + 1 : inputs.length
  const further = epilogue ? epilogue.inputs.slice(1) : []
  const furtherBytes = further.map((dtype, i) => dtypeInfo[dtype].size * elementsRead(epilogue!, i + 1, sizes[own + i]))
  return {
    bytesRead: inputs.slice(0, own).reduce((sum, x) => sum + operandBytes(x), 0) + furtherBytes.reduce((a, b) => a + b, 0),
    bytesWritten: outputs.reduce((sum, x) => sum + operandBytes(x), 0),
    flops: routineFlops(routine, inputs.slice(0, own)) + (epilogue ? kernelFlops(epilogue) : 0),
  }
}

const sizeOf = ({ shape }: Operand): number => product(shape)
const firstAxes = ({ shape }: Operand): number => product(shape.slice(0, -1))

/** Pairs of queries and keys. */
const attendedPairs = (q: Operand, k: Operand): number => firstAxes(q) * k.shape.at(-2)!

const flopsOf: { readonly [N in RoutineName]: (attrs: RoutineAttrs[N], inputs: readonly Operand[], output: Operand) => number } = {
  matmul: (_, [a, , bias], y) => 2 * sizeOf(y) * (a!.shape.at(-1) ?? 1) + (bias ? sizeOf(y) : 0),
  conv: (_, [, w, bias], y) => 2 * sizeOf(y) * firstAxes(w!) + (bias ? sizeOf(y) : 0),
  convGradInput: (_, [gradient, w]) => 2 * sizeOf(gradient!) * firstAxes(w!),
  convGradWeight: (_, [, gradient], w) => 2 * sizeOf(gradient!) * firstAxes(w),
  maxPool: ({ kernel }, _, y) => sizeOf(y) * product(kernel),
  maxPoolGrad: (_, [gradient]) => sizeOf(gradient!),
  fold: (_, [windows]) => sizeOf(windows!),
  sort: (_, [x]) => sizeOf(x!) * Math.ceil(Math.log2(Math.max(2, x!.shape.at(-1) ?? 1))),
  scatter: (_, [, , source]) => sizeOf(source!),
  cumulative: (_, [x]) => sizeOf(x!),
  recurrent: (_, [share, w]) => 2 * sizeOf(share!) * w!.shape[0]!,
  attention: (_, inputs, y) => 2 * attendedPairs(inputs[0]!, inputs[1]!) * (inputs[0]!.shape.at(-1)! + y.shape.at(-1)!),
  attentionGrad: (_, [, q, k, v]) => 2 * attendedPairs(q!, k!) * (3 * q!.shape.at(-1)! + 2 * v!.shape.at(-1)!),
  recurrentGrad: (_, inputs, gates) => 2 * sizeOf(gates) * inputs[0]!.shape[2]!,
}

function routineFlops<N extends RoutineName>({ name, attrs, outputs, epilogue }: Routine<N>, inputs: readonly Operand[]): number {
  const raw = epilogue ? { dtype: epilogue.inputs[0]!, shape: epilogue.parallel, strides: [] } : outputs[0]!
  return flopsOf[name](attrs, inputs, raw)
}
