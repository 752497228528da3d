import type { Program, Sequence, Step } from '../engine/engine.ts'
import type { Kernel, Node, NodeId } from '../engine/kernel.ts'
import type { Operand, Routine, RoutineName } from '../engine/routine.ts'
import { rowMajor } from '../layout.ts'

interface BatchOptions {
  /** From one example to the next, in elements, for each buffer (inputs, then outputs); 0 where all share one. */
  readonly strides: readonly number[]
  readonly size: number
  /** How many scalar arguments the program has. */
  readonly scalars: number
  /** Whether the positions along the first axis, which random numbers are drawn by, go on from example to example. */
  readonly different: boolean
}

/** A program that does for each of `size` examples what `program` does for one. */
export function batchProgram(program: Program | Sequence, options: BatchOptions): Program | Sequence {
  const { strides, scalars } = options
  const steps: readonly Step[] =
    program.kind === 'sequence'
      ? program.steps
      : [{ program, operands: strides.map((_, buffer) => ({ buffer, offset: 0 })), scalars: Array.from({ length: scalars }, (_, i) => i) }]
  const batched = steps.flatMap((step) => batchStep(step, options))
  return program.kind !== 'sequence' && batched.length === 1 ? batched[0]!.program : { kind: 'sequence', steps: batched }
}

function batchStep(step: Step, { strides, size, different }: BatchOptions): Step[] {
  const own = step.operands.map((o) => strides[o.buffer]!)
  const { program } = step
  const whole = program.kind === 'kernel' ? batchKernel(program, own, size, different) : batchRoutine(program, own, size)
  if (whole) return [{ ...step, program: whole }]
  return Array.from({ length: size }, (_, i) => ({
    ...step,
    operands: step.operands.map((o, at) => ({ ...o, offset: o.offset + i * own[at]! })),
  }))
}

/** The kernel with one more parallel axis in front. */
function batchKernel(kernel: Kernel, strides: readonly number[], size: number, different: boolean): Kernel {
  const nodes: Node[] = []
  const moved: NodeId[] = []
  const push = (node: Node): NodeId => nodes.push(node) - 1
  const int = (value: number): Node => ({ op: 'const', type: 'int32', value })
  /** The example's number, times `step`. */
  const example = (step: number): NodeId =>
    push({ op: 'mul', type: 'int32', args: [push({ op: 'index', type: 'int32', axis: 0 }), push(int(step))] })
  const plus = (a: NodeId, b: NodeId): NodeId => push({ op: 'add', type: 'int32', args: [a, b] })

  const rebuilt = (node: Node): NodeId => {
    switch (node.op) {
      case 'load':
        return push({ ...node, strides: [strides[node.input]!, ...node.strides] })
      case 'index': {
        const at = push({ ...node, axis: node.axis + 1 })
        return different && node.axis === 0 ? plus(at, example(kernel.parallel[0] ?? 1)) : at
      }
      case 'gather': {
        const at = moved[node.args[0]]!
        const step = strides[node.input]!
        return push({ ...node, args: [step === 0 ? at : plus(at, example(step))] })
      }
      default:
        return push('args' in node ? ({ ...node, args: node.args.map((a) => moved[a]!) } as Node) : node)
    }
  }
  for (const node of kernel.nodes) moved.push(rebuilt(node))
  return {
    ...kernel,
    parallel: [size, ...kernel.parallel],
    nodes,
    outputs: kernel.outputs.map(({ dtype, node, strides: own }, i) => ({
      dtype,
      node: moved[node]!,
      strides: [strides[kernel.inputs.length + i]!, ...own],
    })),
  }
}

/** Operands of a routine with the strides from example to example, outputs last. */
interface Mapped {
  readonly inputs: readonly Operand[]
  readonly outputs: readonly Operand[]
  readonly strides: readonly number[]
  readonly size: number
}

type Batching = (mapped: Mapped) => Pick<Routine, 'inputs' | 'outputs'> | null

/** With one more axis in front of all operands. */
const leading = ({ inputs, outputs, strides, size }: Mapped) => ({
  inputs: inputs.map((o, i) => stacked(o, strides[i]!, size)),
  outputs: outputs.map((o, i) => stacked(o, strides[inputs.length + i]!, size)),
})

const stacked = ({ dtype, shape, strides }: Operand, stride: number, size: number): Operand => ({
  dtype,
  shape: [size, ...shape],
  strides: [stride, ...strides],
})

/** With the examples' first axes joined to one, where those of `shared` inputs are one for all. */
/* @__NO_SIDE_EFFECTS__ */
const merging =
  (...shared: readonly number[]): Batching =>
  ({ inputs, outputs, strides, size }) => {
    const merged = inputs.map((o, i) => (shared.includes(i) ? (strides[i] === 0 ? o : null) : joined(o, strides[i]!, size)))
    if (merged.includes(null)) return null
    return { inputs: merged as Operand[], outputs: outputs.map((o) => denseJoined(o, size)) }
  }

/** First axis and examples as one axis; null where its elements are not evenly spaced. */
function joined({ dtype, shape, strides }: Operand, stride: number, size: number): Operand | null {
  const [n, step] = [shape[0]!, strides[0]!]
  if (n !== 1 && stride !== n * step) return null
  return { dtype, shape: [size * n, ...shape.slice(1)], strides: [n === 1 ? stride : step, ...strides.slice(1)] }
}

const denseJoined = ({ dtype, shape }: Operand, size: number): Operand => {
  const whole = [size * shape[0]!, ...shape.slice(1)]
  return { dtype, shape: whole, strides: rowMajor(whole) }
}

/** One product of all rows, where all examples share the right operand; else as many products. */
const products: Batching = (mapped) => {
  const { inputs, strides } = mapped
  const [, , bias] = inputs
  if (bias && strides[2] !== 0) return null
  const plain = inputs[0]!.shape.length === 2 && strides[1] === 0 ? merging(1, 2)(mapped) : null
  if (plain) return plain
  const all = leading(mapped)
  return bias ? { ...all, inputs: [...all.inputs.slice(0, 2), bias] } : all
}

/** Absent, and where they give null: as many runs as there are examples. */
const batchings: { readonly [N in RoutineName]?: Batching } = {
  matmul: products,
  conv: merging(1, 2),
  convGradInput: merging(1),
  maxPool: merging(),
  maxPoolGrad: merging(),
  fold: merging(),
  sort: leading,
  scatter: leading,
  cumulative: leading,
  attention: leading,
  attentionGrad: leading,
}

function batchRoutine(plain: Routine, strides: readonly number[], size: number): Routine | null {
  const found = batchings[plain.name]?.({ inputs: plain.inputs, outputs: plain.outputs, strides, size })
  if (!found) return null
  const attrs = 'axis' in plain.attrs ? { ...plain.attrs, axis: plain.attrs.axis + 1 } : plain.attrs
  return { ...plain, ...found, attrs: attrs as Routine['attrs'] }
}
