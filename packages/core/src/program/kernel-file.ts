import type { DType } from '../dtype.ts'
import { elementLevels, type Kernel, type Node } from '../engine/kernel.ts'
import {
  combiners,
  inDomain,
  isFloatScalar,
  type ScalarOp,
  scalarOpNames,
  scalarOps,
  type ScalarType,
  scalarTypeOf,
} from '../engine/scalar.ts'
import { type Field, pointsOf } from './field.ts'
import { type KernelFile, limits, type NodeFile, numberToFile } from './format.ts'

const scalarTypes = ['bool', 'int32', 'int64', 'float32', 'float64'] as const satisfies readonly ScalarType[]
const allNodeOps = () => ['const', 'param', 'index', 'load', 'gather', 'reduce', 'select', 'cast', 'narrow', ...scalarOpNames] as const
const nodeOps = /* @__PURE__ */ allNodeOps()

export function kernelToFile({ name, parallel, reduce, inputs, params, nodes, outputs }: Kernel): KernelFile {
  const coded = nodes.map((node) => (node.op === 'const' ? { ...node, value: numberToFile(node.value) } : node) as NodeFile)
  return { name, parallel, reduce, inputs, params, nodes: coded, outputs }
}

/** A kernel whose code is sound; what it reads and writes is for its operation to check. */
export function kernelFromFile(field: Field): Kernel {
  const parts = field.object(['name', 'parallel', 'reduce', 'inputs', 'params', 'nodes', 'outputs'])
  const parallel = parts.parallel.shape()
  const reduce = parts.reduce.shape()
  const extents = [...parallel, ...reduce]
  field.check(extents.length <= limits.rank, `has more than ${limits.rank} axes`)
  field.check(pointsOf(extents) <= limits.points, 'walks over too many points')
  const space: Space = {
    extents,
    inputs: parts.inputs.list(limits.nodes).map((x) => x.dtype()),
    params: parts.params.list(limits.nodes).map((x) => x.oneOf(scalarTypes)),
  }
  const nodes: Node[] = []
  for (const node of parts.nodes.list(limits.nodes)) nodes.push(nodeFromFile(node, nodes, space))
  const levels = elementLevels({ nodes, parallel })
  const outputs = parts.outputs.list(limits.nodes, 1).map((output) => {
    const own = output.object(['dtype', 'node', 'strides'])
    const dtype = own.dtype.dtype()
    const node = own.node.integer(0, nodes.length - 1)
    const strides = own.strides.strides(extents.length)
    output.check(nodes[node]!.type === scalarTypeOf[dtype], `is ${dtype}, but its node is ${nodes[node]!.type}`)
    const perElement = strides.some((s, axis) => axis >= parallel.length && s !== 0)
    const walked = perElement ? extents : parallel
    output.check(perElement || !levels[node] || pointsOf(reduce) === 1, 'keeps one value a row of a node that has many')
    output.check(isInjective(walked, strides), 'writes an element more than once')
    return { dtype, node, strides }
  })
  return { kind: 'kernel', name: parts.name.text(), parallel, reduce, inputs: space.inputs, params: space.params, nodes, outputs }
}

interface Space {
  readonly extents: readonly number[]
  readonly inputs: readonly DType[]
  readonly params: readonly ScalarType[]
}

function nodeFromFile(field: Field, before: readonly Node[], { extents, inputs, params }: Space): Node {
  const fields = field.object(['op', 'type'], ['value', 'index', 'axis', 'input', 'offset', 'strides', 'combine', 'dtype', 'args'])
  const op = fields.op.oneOf(nodeOps)
  const type = fields.type.oneOf(scalarTypes)
  /** All fields of a node besides those that every node has. */
  const only = <K extends keyof typeof fields>(...names: K[]): { [name in K]: Field } =>
    field.object(['op', 'type', ...(names as never[])]) as { [name in K]: Field }
  const argsOf = (of: Field, count: number): number[] => of.list(count, count).map((x) => x.integer(0, before.length - 1))
  const typeOf = (id: number) => before[id]!.type
  const typed = (expected: ScalarType) => field.check(type === expected, `is ${type} instead of ${expected}`)
  switch (op) {
    case 'const': {
      const { value } = only('value')
      return { op, type, value: constant(value, type) }
    }
    case 'param': {
      const index = only('index').index.integer(0, params.length - 1)
      typed(params[index]!)
      return { op, type, index }
    }
    case 'index': {
      const axis = only('axis').axis.integer(0, extents.length - 1)
      typed('int32')
      return { op, type: 'int32', axis }
    }
    case 'load': {
      const own = only('input', 'offset', 'strides')
      const input = own.input.integer(0, inputs.length - 1)
      typed(scalarTypeOf[inputs[input]!])
      return { op, type, input, offset: own.offset.integer(0, Number.MAX_SAFE_INTEGER), strides: own.strides.strides(extents.length) }
    }
    case 'gather': {
      const own = only('input', 'args')
      const input = own.input.integer(0, inputs.length - 1)
      typed(scalarTypeOf[inputs[input]!])
      const [at] = argsOf(own.args, 1)
      field.check(typeOf(at!) === 'int32', 'reads at a place that is no int32')
      return { op, type, input, args: [at!] }
    }
    case 'reduce': {
      const own = only('combine', 'args')
      const combine = own.combine.oneOf(combiners)
      const [x] = argsOf(own.args, 1)
      const from = typeOf(x!)
      const bits = combine === 'and' || combine === 'or'
      const counts = combine === 'sum' || combine === 'prod'
      field.check(bits ? !isFloatScalar(from) : !counts || from !== 'bool', `combines ${from} by ${combine}`)
      typed(combine === 'argmax' || combine === 'argmin' ? 'int32' : from)
      return { op, type, combine, args: [x!] }
    }
    case 'select': {
      const [condition, a, b] = argsOf(only('args').args, 3)
      field.check(typeOf(condition!) === 'bool', 'has a condition that is no bool')
      field.check(typeOf(a!) === type && typeOf(b!) === type, 'selects between other types')
      return { op, type, args: [condition!, a!, b!] }
    }
    case 'cast': {
      const [x] = argsOf(only('args').args, 1)
      field.check(typeOf(x!) !== type, 'casts to the same type')
      return { op, type, args: [x!] }
    }
    case 'narrow': {
      const own = only('dtype', 'args')
      const dtype = own.dtype.oneOf(['uint8', 'int8', 'float16', 'bfloat16'] as const)
      const [x] = argsOf(own.args, 1)
      typed(scalarTypeOf[dtype])
      field.check(typeOf(x!) === type, 'narrows another type')
      return { op, type, dtype, args: [x!] }
    }
    default: {
      const { arity, result } = scalarOps[op as ScalarOp]
      const own = argsOf(only('args').args, arity)
      const from = typeOf(own[0]!)
      field.check(inDomain(op, from) && own.every((a) => typeOf(a) === from), `is not defined on ${own.map(typeOf).join(', ')}`)
      typed(result === 'bool' ? 'bool' : from)
      return { op: op as ScalarOp, type, args: own }
    }
  }
}

function constant(field: Field, type: ScalarType): number | bigint {
  const value = field.number()
  if (type === 'int64') {
    field.check(typeof value === 'bigint' || Number.isSafeInteger(value), 'is no int64')
    const whole = BigInt(value)
    field.check(BigInt.asIntN(64, whole) === whole, 'is no int64')
    return whole
  }
  const x = Number(value)
  field.check(typeof value === 'number', 'is no number of its type')
  if (type === 'bool') field.check(x === 0 || Object.is(x, 1), 'is neither 0 nor 1')
  else if (type === 'int32') field.check((x | 0) === x, 'is no int32')
  else if (type === 'float32') field.check(Object.is(Math.fround(x), x), 'is no float32')
  return x
}

/** Whether a walk comes to each element once. Holds for views of dense arrays; a few exotic walks that would do are not seen. */
function isInjective(extents: readonly number[], strides: readonly number[]): boolean {
  if (extents.includes(0)) return true
  const walked = extents.map((n, axis) => ({ n, stride: Math.abs(strides[axis]!) })).filter(({ n }) => n > 1)
  let covered = 0
  for (const { n, stride } of walked.sort((a, b) => a.stride - b.stride)) {
    if (stride <= covered) return false
    covered += stride * (n - 1)
  }
  return true
}
