import { type Kernel, KernelBuilder } from '../engine/kernel.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { type Graph, type GraphNode, isRead, type LiveNumber, type Value } from './graph.ts'
import { identityMap } from './index-map.ts'
import type { Operation, Place, Program } from './program.ts'
import { splice } from './splice.ts'

/** The programs of a graph's ops, op by op. */
export function lower(graph: Graph): Program {
  return { graph, operations: graph.nodes.flatMap(lowerNode) }
}

function lowerNode({ op, inputs, outputs, plan, origin, again }: GraphNode): Operation[] {
  const numbers = inputs.filter((x): x is Scalar | LiveNumber => !isRead(x))
  const places = [...inputs.filter(isRead), ...outputs].map(({ value, offset }): Place => ({ value, offset }))
  const origins = [{ name: op.name, at: origin }]
  const program = plan.program!
  const steps =
    program.kind === 'sequence'
      ? program.steps
      : [{ program, operands: places.map((_, buffer) => ({ buffer, offset: 0 })), scalars: numbers.map((_, i) => i) }]
  return steps.map((step) => {
    const own = step.operands.map(({ buffer, offset }) => ({ value: places[buffer]!.value, offset: places[buffer]!.offset + offset }))
    const count = step.program.inputs.length
    return settle({
      program: step.program,
      inputs: own.slice(0, count),
      outputs: own.slice(count),
      numbers: step.scalars.map((at) => numbers[at]!),
      origins,
      again,
    })
  })
}

/** Brings a kernel's inputs into the form that `Operation` asks for. */
function settle(operation: Operation): Operation {
  const { program, inputs } = operation
  if (program.kind !== 'kernel') return operation
  const values = [...new Set(inputs.map(({ value }) => value))]
  if (values.length === inputs.length && inputs.every(({ offset }) => offset === 0)) return operation
  return { ...operation, program: rebase(program, inputs, values), inputs: values.map((value) => ({ value, offset: 0 })) }
}

/** The kernel over `values` instead of over `places` in them. */
function rebase(kernel: Kernel, places: readonly Place[], values: readonly Value[]): Kernel {
  const k = new KernelBuilder(kernel.name, kernel.parallel, kernel.reduce)
  for (const value of values) k.input(value.dtype)
  const made = splice(k, {
    kernel,
    map: identityMap(kernel.parallel.length + kernel.reduce.length),
    inputs: places.map(({ value, offset }) => ({ at: values.indexOf(value), offset })),
    params: kernel.params.map((type) => k.param(type)),
  })
  for (const { dtype, node, strides } of kernel.outputs) k.output(dtype, made[node]!, strides)
  return k.build()
}
