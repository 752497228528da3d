import { argsOf, type Kernel, KernelBuilder, type NodeId, type Value as ScalarValue } from '../../engine/kernel.ts'
import { type Operand, type Routine, routine } from '../../engine/routine.ts'
import type { ScalarOp } from '../../engine/scalar.ts'
import { isContiguous, rowMajor, sizeOf } from '../../layout.ts'
import { isElementwise, isKernel, type KernelOperation, prune } from '../fusion.ts'
import { isLive, type Value } from '../graph.ts'
import { type Operation, type Program, resultsOf } from '../program.ts'

type Product = Operation & { readonly program: Routine<'conv' | 'matmul'> }

/**
 * What scales and shifts each channel of a convolution's or a matrix product's result, as batch normalisation does in use, becomes
 * part of its weights and bias (Jacob et al. 2018, https://arxiv.org/abs/1712.05877, section 3.2). It pays where weights are
 * constants: `foldConstants` then computes the new ones once.
 */
export function scaleWeights(program: Program): Program {
  const needed = resultsOf(program.graph)
  const readers = new Map<Value, Operation[]>()
  for (const operation of program.operations) {
    for (const { value } of operation.inputs) readers.set(value, [...(readers.get(value) ?? []), operation])
  }
  const made = new Map<Operation, readonly Operation[]>()
  let id = Math.max(-1, ...program.operations.flatMap(({ outputs }) => outputs.map(({ value }) => value.id)))
  for (const operation of program.operations) {
    if (!isProduct(operation)) continue
    const { value } = operation.outputs[0]!
    const [reader, ...others] = readers.get(value) ?? []
    if (!reader || others.length > 0 || needed.has(value) || !isKernel(reader) || !isElementwise(reader.program)) continue
    const newValue = (dtype: Value['dtype'], size: number): Value => ({ id: ++id, dtype, size, source: value.source })
    const scaled = scale(operation, reader, newValue)
    if (!scaled) continue
    made.set(operation, [])
    made.set(reader, scaled)
  }
  return { ...program, operations: program.operations.flatMap((operation) => made.get(operation) ?? [operation]) }
}

function isProduct(operation: Operation): operation is Product {
  const { program } = operation
  if (program.kind !== 'routine' || program.epilogue || program.outputs[0]!.dtype !== 'float32') return false
  return program.name === 'conv' || (program.name === 'matmul' && program.inputs[1]!.shape.length === 2)
}

/** The operations that take the place of a product and of the code behind it, if that only scales and shifts channels. */
function scale(product: Product, reader: KernelOperation, newValue: (dtype: Value['dtype'], size: number) => Value): Operation[] | null {
  const { program, inputs, outputs } = product
  const channels = program.outputs[0]!.shape.at(-1)!
  const factors = affineCode(reader, outputs[0]!.value, channels)
  if (!factors || reader.outputs.length !== 1 || reader.outputs[0]!.offset !== 0) return null
  const [weight, bias] = [program.inputs[1]!, program.inputs[2]]
  const [slope, shift] = [newValue('float32', channels), newValue('float32', channels)]
  const scaled = newValue('float32', sizeOf(weight.shape))
  const steps: Operation[] = [
    prune({ ...reader, program: factors, outputs: [slope, shift].map((value) => ({ value, offset: 0 })) }),
    {
      ...product,
      program: timesChannels(weight),
      inputs: [inputs[1]!, { value: slope, offset: 0 }],
      outputs: [{ value: scaled, offset: 0 }],
      numbers: [],
    },
  ]
  let total = shift
  if (bias) {
    total = newValue('float32', channels)
    steps.push({
      ...product,
      program: shiftedBias(bias, channels),
      inputs: [inputs[2]!, { value: slope, offset: 0 }, { value: shift, offset: 0 }],
      outputs: [{ value: total, offset: 0 }],
      numbers: [],
    })
  }
  const operands: Operand[] = [
    program.inputs[0]!,
    { dtype: 'float32', shape: weight.shape, strides: rowMajor(weight.shape) },
    { dtype: 'float32', shape: [channels], strides: [1] },
  ]
  const origins = [...product.origins, ...reader.origins]
  return [
    ...steps,
    {
      program: routine(program.name, program.attrs as never, operands, program.outputs),
      inputs: [inputs[0]!, { value: scaled, offset: 0 }, { value: total, offset: 0 }],
      outputs: reader.outputs,
      numbers: [],
      origins,
    },
  ]
}

/** A value as `slope · x + shift`; no slope where it does not depend on x. */
interface Affine {
  readonly slope?: ScalarValue
  readonly shift: ScalarValue
}

/** Code over the channels for the slope and the shift of elementwise code in `x`; null where it is anything else. */
function affineCode({ program, inputs, outputs, numbers }: KernelOperation, x: Value, channels: number): Kernel | null {
  const { parallel, nodes } = program
  const last = parallel.length - 1
  const [output] = program.outputs
  if (parallel[last] !== channels || sizeOf(parallel) !== outputs[0]!.value.size || numbers.some(isLive)) return null
  if (output!.dtype !== 'float32' || !isContiguous(parallel, output!.strides)) return null
  const k = new KernelBuilder('channels', [channels])
  for (const dtype of program.inputs) k.input(dtype)
  const params = program.params.map((type) => k.param(type))
  const known: (Affine | null)[] = []
  const depends = (id: NodeId) => known[id]?.slope !== undefined
  for (const [id, node] of nodes.entries()) {
    const args = argsOf(node).map((a) => known[a])
    if (args.some((a) => !a)) known[id] = null
    else if (node.op === 'const') known[id] = { shift: k.constant(node.type, node.value) }
    else if (node.op === 'param') known[id] = { shift: params[node.index]! }
    else if (node.op === 'load') known[id] = loaded(k, node, inputs[node.input]!.value === x, parallel)
    else if (!argsOf(node).some(depends)) known[id] = constantNode(k, node, args as Affine[])
    else known[id] = affineNode(k, node.op, args as Affine[])
  }
  const result = known[output!.node]
  if (result?.slope === undefined) return null
  k.output('float32', result.slope, [1])
  k.output('float32', result.shift, [1])
  return k.build()
}

type KernelNode = Kernel['nodes'][number]

function loaded(k: KernelBuilder, node: KernelNode & { op: 'load' }, isX: boolean, parallel: readonly number[]): Affine | null {
  const { strides, offset, input, type } = node
  if (isX) {
    const whole = offset === 0 && isContiguous(parallel, strides) && type === 'float32'
    return whole ? { slope: k.constant(type, 1), shift: k.constant(type, 0) } : null
  }
  const last = parallel.length - 1
  const perChannel = strides.every((s, axis) => axis === last || s === 0 || parallel[axis] === 1)
  return perChannel ? { shift: k.load(input, [strides[last]!], offset) } : null
}

/** A node none of whose operands depends on x. */
function constantNode(k: KernelBuilder, node: KernelNode, args: readonly Affine[]): Affine | null {
  const [a, b, c] = args.map(({ shift }) => shift)
  switch (node.op) {
    case 'gather':
    case 'reduce':
    case 'index':
      return null
    case 'select':
      return { shift: k.select(a!, b!, c!) }
    case 'cast':
      return { shift: k.cast(a!, node.type) }
    case 'narrow':
      return { shift: k.narrow(a!, node.dtype) }
    default:
      return { shift: k.apply(node.op as ScalarOp, b === undefined ? [a!] : [a!, b]) }
  }
}

/** A node some of whose operands depend on x, if it is affine in x still. */
function affineNode(k: KernelBuilder, op: string, [a, b]: readonly Affine[]): Affine | null {
  const [slope, other] = [a!.slope, b?.slope]
  switch (op) {
    case 'add':
    case 'sub': {
      const shift = k[op](a!.shift, b!.shift)
      if (other === undefined) return { slope: slope!, shift }
      if (slope === undefined) return { slope: op === 'add' ? other : k.neg(other), shift }
      return { slope: k[op](slope, other), shift }
    }
    case 'neg':
      return { slope: k.neg(slope!), shift: k.neg(a!.shift) }
    case 'mul': {
      if (slope !== undefined && other !== undefined) return null
      const factor = slope === undefined ? a!.shift : b!.shift
      return { slope: k.mul(slope ?? other!, factor), shift: k.mul(a!.shift, b!.shift) }
    }
    case 'div':
      return other === undefined ? { slope: k.div(slope!, b!.shift), shift: k.div(a!.shift, b!.shift) } : null
    default:
      return null
  }
}

function timesChannels({ dtype, shape, strides }: Operand): Kernel {
  const k = new KernelBuilder('scaleWeights', shape)
  const last = shape.length - 1
  const weight = k.load(k.input(dtype), strides)
  const factor = k.load(
    k.input('float32'),
    shape.map((_, axis) => Number(axis === last)),
  )
  k.output('float32', k.mul(k.cast(weight, 'float32'), factor), rowMajor(shape))
  return k.build()
}

function shiftedBias({ dtype, strides }: Operand, channels: number): Kernel {
  const k = new KernelBuilder('shiftBias', [channels])
  const [bias, slope, shift] = [k.load(k.input(dtype), [strides[0]!]), k.load(k.input('float32'), [1]), k.load(k.input('float32'), [1])]
  k.output('float32', k.add(k.mul(k.cast(bias, 'float32'), slope), shift), [1])
  return k.build()
}
