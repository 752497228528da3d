import { type Kernel, KernelBuilder } from '../../engine/kernel.ts'
import { productNames, type Routine, withEpilogue, withoutEpilogue } from '../../engine/routine.ts'
import { simplify } from '../../engine/simplify.ts'
import { isContiguous, rowMajor, sameShape, sizeOf } from '../../layout.ts'
import { intoFirst, isElementwise, isKernel, type KernelOperation } from '../fusion.ts'
import type { Value } from '../graph.ts'
import type { Operation, Program } from '../program.ts'
import { type Strand, Weave } from '../weave.ts'

/** Nodes of an epilogue beyond which it would hold up the product. */
const MOST_NODES = 96

/** Tensors as large as the result that an epilogue reads and writes: more of them flow faster through a kernel of their own... */
const MOST_STREAMS = 4
/** ... unless the result has so few elements that it is not worth the launch. */
const SMALL = 16384

/** Elementwise code that reads the result of a matrix product or a convolution is run on the result before it is stored. */
export function fuseEpilogues(program: Program): Program {
  const weave = new Weave(program)
  for (const strand of weave.strands) {
    let routine: Strand | undefined = strand
    while (routine) routine = absorb(weave, routine)
  }
  return weave.program()
}

/** Takes one reader of a routine's results into its epilogue. Returns what took their place. */
function absorb(weave: Weave, strand: Strand): Strand | undefined {
  const { operation } = strand
  const { program } = operation
  if (program.kind !== 'routine' || !productNames.has(program.name)) return undefined
  const makes = asKernel(operation, program)
  for (const { value } of operation.outputs) {
    for (const reader of weave.readersOf(value)) {
      const { operation: second } = reader
      if (!isKernel(second) || !isElementwise(second.program) || second.program.parallel.includes(0)) continue
      if (weave.reachesIndirectly(strand, reader) || !weave.canReadAt(strand, reader)) continue
      const elsewhere = (v: Value) => weave.isNeeded(v) || [...weave.readersOf(v)].some((other) => other !== reader)
      const keep = new Set(operation.outputs.map((o) => o.value).filter(elsewhere))
      const fused = intoFirst(makes, { ...second, program: simplify(second.program) }, keep)
      const code = fused && fits(fused, makes)
      if (code) return weave.replace([strand, reader], assemble(operation, program, fused, code))
    }
  }
  return undefined
}

/** A routine's epilogue, or code that leaves the result as it is, as a kernel of its own. */
function asKernel(operation: Operation, routine: Routine): KernelOperation {
  const own = routine.inputs.length - (routine.epilogue ? routine.epilogue.inputs.length - 1 : 0)
  const { shape, dtype } = withoutEpilogue(routine).outputs[0]!
  const raw: Value = { id: -1, dtype, size: sizeOf(shape), source: operation.outputs[0]!.value.source }
  let program = routine.epilogue
  if (!program) {
    const k = new KernelBuilder(routine.name, shape)
    k.output(dtype, k.load(k.input(dtype), rowMajor(shape)))
    program = k.build()
  }
  return { ...operation, program, inputs: [{ value: raw, offset: 0 }, ...operation.inputs.slice(own)] }
}

/** The fused code, if it may be an epilogue: over the raw result's shape, all outputs dense, and operands that tiles can find. */
function fits({ program, inputs }: KernelOperation, { program: { parallel }, inputs: [raw] }: KernelOperation): Kernel | null {
  const { nodes } = program
  if (!sameShape(program.parallel, parallel) || nodes.length > MOST_NODES) return null
  if (inputs[0]?.value !== raw!.value || inputs.some(({ value }) => value.dtype !== raw!.value.dtype)) return null
  const dense = nodes.filter((n) => n.op === 'load' && isContiguous(parallel, n.strides)).length - 1 + program.outputs.length
  if (dense > MOST_STREAMS && sizeOf(parallel) > SMALL) return null
  if (program.outputs.some(({ strides, dtype }) => dtype !== raw!.value.dtype || !isContiguous(parallel, strides))) return null
  const last = parallel.length - 1
  const found = nodes.every((node) => {
    if (node.op === 'gather' || node.op === 'index') return false
    if (node.op !== 'load') return true
    if (node.offset !== 0) return false
    if (isContiguous(parallel, node.strides)) return true
    return node.strides.every((s, axis) => parallel[axis] === 1 || s === 0 || (axis === last && s === 1))
  })
  return found ? program : null
}

function assemble(operation: Operation, routine: Routine, { inputs, outputs, numbers, origins }: KernelOperation, code: Kernel): Operation {
  const plain = withoutEpilogue(routine)
  const operands = inputs.slice(1).map(({ value }) => ({ dtype: value.dtype, shape: [value.size], strides: [1] }))
  return {
    program: withEpilogue(plain, code, operands),
    inputs: [...operation.inputs.slice(0, plain.inputs.length), ...inputs.slice(1)],
    outputs,
    numbers,
    origins,
  }
}
