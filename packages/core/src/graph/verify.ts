import { argsOf, type Kernel } from '../engine/kernel.ts'
import type { Value } from './graph.ts'
import { isMade, type Operation, type Program, resultsOf, rootOf } from './program.ts'

/** Throws if a program breaks the rules that passes and engines rely on; such a program is a fault of the pass that made it. */
export function verify(program: Program, stage: string): void {
  const made = new Set<Value>()
  const isThere = (value: Value) => made.has(value) || !isMade(program.graph, rootOf(value))
  const fail = (operation: Operation, problem: string): never => {
    throw new TypeError(`after ${stage}, ${operation.program.name}: ${problem}`)
  }
  for (const operation of program.operations) {
    const { program: code, inputs, outputs, numbers } = operation
    for (const { value } of inputs) if (!isThere(value)) fail(operation, `value ${value.id} is read before it is made`)
    for (const { value } of outputs) made.add(value)
    if (inputs.length !== code.inputs.length) fail(operation, `${inputs.length} inputs for a program of ${code.inputs.length}`)
    if (outputs.length !== code.outputs.length) fail(operation, `${outputs.length} outputs for a program of ${code.outputs.length}`)
    if (code.kind === 'control') {
      const operands = [...code.inputs, ...code.outputs]
      const values = [...inputs, ...outputs].map(({ value }) => value.dtype)
      if (operands.some(({ dtype }, i) => dtype !== values[i])) fail(operation, 'operands of other dtypes')
      continue
    }
    if (code.kind === 'routine') {
      if (numbers.length !== (code.epilogue?.params.length ?? 0)) fail(operation, 'numbers and params differ')
      continue
    }
    if (numbers.length !== code.params.length) fail(operation, `${numbers.length} numbers for ${code.params.length} params`)
    code.inputs.forEach((dtype, i) => {
      if (dtype !== inputs[i]!.value.dtype) fail(operation, `input ${i} is ${inputs[i]!.value.dtype}, not ${dtype}`)
    })
    checkKernel(code, (problem) => fail(operation, problem))
    code.outputs.forEach(({ dtype, strides }, i) => {
      const { value, offset } = outputs[i]!
      if (dtype !== value.dtype) fail(operation, `output ${i} is ${dtype}, its value ${value.dtype}`)
      const [low, high] = reach(code, strides, offset)
      if (low < 0 || high >= Math.max(1, rootOf(value).size))
        fail(operation, `output ${i} writes elements ${low} to ${high} of ${value.size}`)
    })
    for (const node of code.nodes) {
      if (node.op !== 'load') continue
      const { value, offset } = inputs[node.input]!
      const [low, high] = reach(code, node.strides, node.offset + offset)
      // Arguments may be views, whose memory goes on beyond their elements.
      if (isMade(program.graph, rootOf(value)) && (low < 0 || high >= Math.max(1, rootOf(value).size)))
        fail(operation, `reads elements ${low} to ${high} of ${value.size}`)
    }
  }
  for (const value of resultsOf(program.graph)) if (!isThere(value)) throw new TypeError(`after ${stage}: result ${value.id} is never made`)
}

function checkKernel({ nodes, parallel, reduce, inputs, params, outputs }: Kernel, fail: (problem: string) => never): void {
  const rank = parallel.length + reduce.length
  nodes.forEach((node, id) => {
    if (argsOf(node).some((a) => a >= id)) fail(`node ${id} uses a later one`)
    if (node.op === 'load' && (node.strides.length !== rank || node.input >= inputs.length)) fail(`node ${id} loads over another space`)
    if (node.op === 'index' && node.axis >= rank) fail(`node ${id} names axis ${node.axis} of ${rank}`)
    if (node.op === 'param' && node.index >= params.length) fail(`node ${id} names param ${node.index} of ${params.length}`)
  })
  for (const { strides, node } of outputs) {
    if (strides.length !== rank || node >= nodes.length) fail('an output is over another space')
    if (![...parallel, ...reduce].includes(0) && parallel.some((extent, axis) => extent > 1 && strides[axis] === 0))
      fail('an element of an output is written many times')
  }
}

/** The first and the last element that a walk over a kernel's space comes to. */
function reach({ parallel, reduce }: Kernel, strides: readonly number[], offset: number): [low: number, high: number] {
  let [low, high] = [offset, offset]
  const extents = [...parallel, ...reduce]
  if (extents.includes(0)) return [0, 0]
  strides.forEach((stride, axis) => {
    const last = stride * (extents[axis]! - 1)
    if (last < 0) low += last
    else high += last
  })
  return [low, high]
}
