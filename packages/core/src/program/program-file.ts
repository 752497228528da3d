import type { ControlOperand } from '../engine/control.ts'
import type { Engine } from '../engine/engine.ts'
import type { Kernel } from '../engine/kernel.ts'
import type { Routine } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { Body, type Flow } from '../graph/control/flow.ts'
import type { Graph, GraphNode, HostStep, LiveNumber, Read, Value } from '../graph/graph.ts'
import { isLive } from '../graph/graph.ts'
import { type Operation, type Place, type Program, rootOf } from '../graph/program.ts'
import { quoteName } from '../io/array-record.ts'
import { sizeOf, spec as specOf, type Spec } from '../layout.ts'
import { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Field, reach } from './field.ts'
import { flowFromFile, flowToFile } from './flow-file.ts'
import {
  type BodyFile,
  type FlowFile,
  type KernelFile,
  limits,
  numberToFile,
  type PlaceFile,
  type RoutineFile,
  type ValueFile,
} from './format.ts'
import { type HostReader, type HostWriter, isBookkeeping } from './host-file.ts'
import { kernelFromFile, kernelToFile } from './kernel-file.ts'
import { routineFromFile, routineToFile } from './routine-file.ts'
import { type FileOperation, guardOperations, isStraight, type StraightOperation } from './safe-operations.ts'

/** What a file is written with. */
interface ProgramWriter {
  /** The names of captured values. */
  readonly nameOf: (captured: Value) => string
  readonly host: HostWriter
  readonly engine: Engine
}

/** What a program computes, as it is written. */
export function programToFile({ graph, operations }: Program, writer: ProgramWriter): BodyFile {
  const numbers = new Map<Value, number>()
  const values: ValueFile[] = []
  const idOf = (value: Value): number => {
    const known = numbers.get(value)
    if (known !== undefined) return known
    const { dtype, size, source } = value
    let from: Partial<ValueFile> = {}
    if (source.kind === 'argument') from = { argument: source.index }
    else if (source.kind === 'captured') from = { tensor: writer.nameOf(value) }
    else if (source.kind === 'update') from = { of: idOf(source.of) }
    else if (source.kind === 'gradient') {
      throw new CotangentError('unsupported', {
        op: 'exportProgram',
        message: 'the function adds to a .grad that was there before, which is no part of the file',
        hint: 'Call optimizer.zeroGrad() before backward() within the function.',
      })
    }
    const id = values.push({ dtype, size, ...from }) - 1
    numbers.set(value, id)
    return id
  }
  // Arguments come first, so that each has a value even if nothing reads it.
  for (const { value } of graph.inputs) idOf(value)
  const place = ({ value, offset }: Place): PlaceFile => [idOf(value), offset]
  const host = graph.host.filter((step) => !isBookkeeping(step))
  const lifts = liftsOf(host)
  const programs: (KernelFile | RoutineFile | FlowFile)[] = []
  const known = new Map<string, number>()
  const programOf = (program: Operation['program']): number => {
    const file =
      program.kind === 'kernel'
        ? kernelToFile(program)
        : program.kind === 'routine'
          ? routineToFile(program)
          : flowToFile(program, (body) => programToFile(body.optimized(writer.engine), writer))
    const key = JSON.stringify(file)
    let at = known.get(key)
    if (at === undefined) known.set(key, (at = programs.push(file) - 1))
    return at
  }
  const coded = operations.map(({ program, inputs, outputs, numbers: given }) => ({
    program: programOf(program),
    inputs: inputs.map(place),
    outputs: outputs.map(place),
    numbers: given.map((x) => (isLive(x) ? { host: lifts[x.lift]!, index: x.index } : numberToFile(x.value))),
  }))
  const outputs = graph.outputs.map(({ value, spec, offset }) => ({ value: idOf(value), offset, shape: spec.shape, strides: spec.strides }))
  const writes = [...graph.writes].map(([memory, value]): readonly [number, number] => {
    if (memory.source.kind === 'argument') {
      throw new CotangentError('unsupported', {
        op: 'exportProgram',
        message: `the function writes into the memory of its tensor argument ${memory.source.index}`,
        hint: 'Return the new value instead.',
      })
    }
    return [idOf(memory), idOf(value)]
  })
  return {
    arguments: graph.inputs.map(({ spec: { dtype, shape } }) => ({ dtype, shape })),
    values,
    outputs,
    writes,
    programs,
    operations: coded,
    host: host.map((step) => writer.host.step(step)),
  }
}

/** The steps that give numbers, in order. */
const liftsOf = (host: readonly HostStep[]): number[] => host.flatMap((step, at) => (step.kind === 'effect' ? [] : [at]))

// Nothing looks at the ops of a graph that was saved after they were lowered.
const noNode = {} as GraphNode

/** Where the tensors of a program come from. */
type TensorSource = (name: string) => Tensor | undefined

/** What a file is read with. */
interface ProgramReader {
  readonly tensorOf: TensorSource
  readonly host: HostReader
}

const bodyFields = ['arguments', 'values', 'outputs', 'writes', 'programs', 'operations', 'host'] as const satisfies (keyof BodyFile)[]

/** What a flow runs: its outputs are memory that it makes, one each. */
function bodyFromFile(field: Field, reader: ProgramReader, depth: number): Body {
  field.check(depth <= limits.depth, 'is nested too deep')
  const program = programFromFile(field.object(bodyFields), reader, depth)
  const { outputs, writes } = program.graph
  const roots = outputs.map(({ value }) => rootOf(value))
  field.check(writes.size === 0, 'writes to memory from outside')
  field.check(new Set(roots).size === roots.length, 'gives one memory twice')
  const isOwn = ({ spec, offset, value }: Read, i: number) =>
    roots[i]!.source.kind === 'result' && offset === 0 && spec.contiguous && spec.size === value.size
  field.check(outputs.every(isOwn), 'gives what is not memory of its own')
  return new Body(program, { optimized: true })
}

/** A program that reads and writes nothing but its own memory, whatever the file says. */
export function programFromFile(parts: Record<keyof BodyFile, Field>, reader: ProgramReader, depth = 0): Program {
  const specs = parts.arguments.list(limits.values).map((one) => {
    const { dtype, shape } = one.object(['dtype', 'shape'])
    return specOf(dtype.dtype(), shape.shape())
  })
  const values = valuesFromFile(parts.values, specs, reader.tensorOf)
  const host = reader.host.steps(parts.host, (argument) => (specs[argument]?.dtype === 'int32' ? Math.floor(specs[argument].size / 2) : 0))
  const inputs = specs.map((spec, i): Read => {
    const value = values.find(({ source }) => source.kind === 'argument' && source.index === i)
    if (!value) throw parts.values.fail(`have none for argument ${i}`)
    return { value, spec, offset: 0 }
  })
  const programs = parts.programs.list(limits.operations).map((one) => {
    if (one.has('flow')) return flowFromFile(one, (body) => bodyFromFile(body, reader, depth + 1))
    return one.has('routine') ? routineFromFile(one) : kernelFromFile(one)
  })
  const operations = parts.operations.list(limits.operations).map((one) => operationFromFile(one, programs, values, host))
  const writes = new Map<Value, Value>()
  for (const pair of parts.writes.list(limits.values)) {
    const [memory, value] = pair.list(2, 2).map((at) => values[at.integer(0, values.length - 1)]!)
    pair.check(memory!.source.kind === 'captured' && !writes.has(memory!), 'writes to what is no tensor of the program, or twice')
    pair.check(memory !== value && memory!.dtype === value!.dtype && memory!.size === value!.size, 'writes another kind of value')
    const root = rootOf(value!)
    pair.check(root === memory || root.source.kind === 'result', 'writes what was not made')
    pair.check(![...writes.values()].some((other) => rootOf(other) === root), 'writes a value to two places')
    writes.set(memory!, value!)
  }
  // Memory from outside may change only where the program says so.
  operations.forEach(({ outputs }, at) => {
    for (const { value } of outputs) {
      const root = rootOf(value)
      const own =
        root.source.kind === 'result' ||
        (root.source.kind === 'captured' && root !== value && rootOf(writes.get(root) ?? value) === root && writes.has(root))
      parts.operations.check(own, `[${at}] writes to memory that is not its own`)
    }
  })
  const outputs = parts.outputs.list(limits.values).map((one): Read => {
    const own = one.object(['value', 'offset', 'shape', 'strides'])
    const value = values[own.value.integer(0, values.length - 1)]!
    const shape = own.shape.shape()
    const strides = own.strides.strides(shape.length)
    const offset = own.offset.integer(0, value.size)
    checkReach(one, shape, strides, offset, value)
    return { value, spec: specOf(value.dtype, shape, strides), offset }
  })
  const graph: Graph = { inputs, arguments: [], nodes: [], outputs, writes, gradients: new Map(), host, guards: [] }
  const program = { graph, operations: guardOperations(operations, parts.operations) }
  checkOrder(program, parts.operations)
  return program
}

function valuesFromFile(field: Field, specs: readonly Spec[], tensorOf: TensorSource): Value[] {
  const values: Value[] = []
  const taken = new Set<string | number>()
  for (const one of field.list(limits.values)) {
    const own = one.object(['dtype', 'size'], ['argument', 'tensor', 'of'])
    const dtype = own.dtype.dtype()
    const size = own.size.integer(0, 2 ** 33)
    one.check(Object.keys(own).length <= 3, 'comes from several places')
    let source: Value['source'] = { kind: 'result', node: noNode, index: 0 }
    if (own.argument) {
      const index = own.argument.integer(0, specs.length - 1)
      one.check(specs[index]!.dtype === dtype && specs[index]!.size === size && !taken.has(index), `is not what argument ${index} is`)
      taken.add(index)
      source = { kind: 'argument', index }
    } else if (own.tensor) {
      const name = own.tensor.text()
      const tensor = tensorOf(name)
      if (!tensor || taken.has(name)) throw own.tensor.fail(`names ${quoteName(name)}, which is not in the file or is taken`)
      one.check(tensor.dtype === dtype && tensor.size === size, `is not what tensor ${quoteName(name)} is`)
      taken.add(name)
      source = { kind: 'captured', storage: tensor.storage }
    } else if (own.of) {
      const of = values[own.of.integer(0, values.length - 1)]!
      one.check(of.dtype === dtype && of.size === size, 'is not like the value that it updates')
      source = { kind: 'update', of, node: noNode, index: 0 }
    }
    values.push({ id: values.length, dtype, size, source })
  }
  return values
}

function operationFromFile(
  field: Field,
  programs: readonly (Kernel | Routine | Flow)[],
  values: readonly Value[],
  host: readonly HostStep[],
): FileOperation {
  const parts = field.object(['program', 'inputs', 'outputs', 'numbers'])
  const program = programs[parts.program.integer(0, programs.length - 1)]!
  const places = (list: Field, count: number) =>
    list.list(count, count).map((pair): Place => {
      const [at, offset] = pair.list(2, 2)
      const value = values[at!.integer(0, values.length - 1)]!
      return { value, offset: offset!.integer(0, value.size) }
    })
  const inputs = places(parts.inputs, program.inputs.length)
  const outputs = places(parts.outputs, program.outputs.length)
  const params = program.kind === 'kernel' ? program.params : program.kind === 'routine' ? (program.epilogue?.params ?? []) : []
  const lifts = liftsOf(host)
  const numbers = parts.numbers.list(params.length, params.length).map((x, i): Scalar | LiveNumber => {
    const type = params[i]!
    if (!x.is('object')) {
      const value = Number(x.number())
      x.check(type === 'float32' || type === 'float64' || Number.isSafeInteger(value), `is no ${type}`)
      return new Scalar(value, type)
    }
    const { host: from, index } = x.object(['host', 'index'])
    const lift = lifts.indexOf(from.integer(0, host.length - 1))
    const step = host[lifts[lift] ?? -1]
    if (!step || step.kind === 'effect') throw from.fail('gives no numbers')
    const isAny = step.kind === 'given'
    x.check(isAny || (step.origin?.kind === 'random') === (type === 'int32'), `gives no ${type}`)
    x.check(type !== 'bool' && type !== 'int64', `gives no ${type}`)
    return { spec: new Scalar(0, type).spec, lift, index: index.integer(0, step.count - 1) }
  })
  const operation: FileOperation = { program, inputs, outputs, numbers, origins: [] }
  if (isStraight(operation)) checkPlaces(operation, field)
  else checkFlowPlaces(operation, field)
  return operation
}

/** Checks that control flow reads within its values, and makes new ones. */
function checkFlowPlaces({ program, inputs, outputs }: Operation, field: Field): void {
  program.inputs.forEach((operand, i) => {
    const { value, offset } = inputs[i]!
    const { dtype, shape } = operand as ControlOperand
    field.check(value.dtype === dtype && offset + sizeOf(shape) <= value.size, `has an input ${i} of another kind`)
  })
  program.outputs.forEach((operand, o) => {
    const { value, offset } = outputs[o]!
    const { dtype, shape } = operand as ControlOperand
    const isWhole = value.source.kind === 'result' && offset === 0 && value.size === sizeOf(shape)
    field.check(value.dtype === dtype && isWhole, `has an output ${o} of another kind`)
  })
  const made = outputs.map(({ value }) => value)
  field.check(new Set(made).size === made.length, 'writes one memory by two outputs')
  field.check(!inputs.some(({ value }) => made.includes(rootOf(value))), 'overwrites what it reads')
}

/** Checks that an operation reads and writes within its values. */
function checkPlaces({ program, inputs, outputs }: StraightOperation, field: Field): void {
  const code = program.kind === 'kernel' ? program : program.epilogue
  const own = program.kind === 'kernel' ? 0 : inputs.length - (code ? code.inputs.length - 1 : 0)
  const roots = outputs.map(({ value }) => rootOf(value))
  field.check(new Set(roots).size === roots.length, 'writes one memory by two outputs')
  if (program.kind === 'kernel')
    field.check(
      new Set(inputs.map((x) => x.value)).size === inputs.length && inputs.every((x) => x.offset === 0),
      'has inputs that are not distinct, whole values',
    )
  else {
    program.inputs.slice(0, own).forEach(({ dtype, shape, strides }, i) => {
      const { value, offset } = inputs[i]!
      field.check(value.dtype === dtype, `has an input ${i} of another dtype`)
      checkReach(field, shape, strides, offset, value)
      // A routine reads while it writes.
      field.check(!roots.includes(rootOf(value)), 'overwrites what it reads')
    })
    if (!code) {
      program.outputs.forEach(({ dtype, shape, strides }, o) => {
        const { value, offset } = outputs[o]!
        field.check(value.dtype === dtype, `has an output ${o} of another dtype`)
        checkReach(field, shape, strides, offset, value)
      })
    }
  }
  if (!code) return
  const first = program.kind === 'kernel' ? 0 : 1
  const placeOf = (input: number) => inputs[own + input - first]!
  const extents = [...code.parallel, ...code.reduce]
  code.inputs.forEach((dtype, i) => i < first || field.check(placeOf(i).value.dtype === dtype, `has an input ${i} of another dtype`))
  for (const node of code.nodes) {
    if (node.op === 'load') {
      if (node.input < first) continue
      const { value, offset } = placeOf(node.input)
      checkReach(field, extents, node.strides, node.offset + offset, value)
    } else if (node.op === 'gather') {
      const { value, offset } = placeOf(node.input)
      field.check(offset === 0 && (value.size > 0 || extents.includes(0)), 'gathers from nothing')
    }
  }
  code.outputs.forEach(({ dtype, strides }, o) => {
    const { value, offset } = outputs[o]!
    field.check(value.dtype === dtype, `has an output ${o} of another dtype`)
    const perElement = strides.some((s, axis) => axis >= code.parallel.length && s !== 0)
    checkReach(field, perElement ? extents : code.parallel, perElement ? strides : strides.slice(0, code.parallel.length), offset, value)
  })
}

function checkReach(field: Field, extents: readonly number[], strides: readonly number[], offset: number, { size }: Value): void {
  const range = reach(extents, strides, offset)
  if (!range) return
  const [low, high] = range
  field.check(low >= 0 && high < size, `reaches elements ${low} to ${high} of a value of ${size}`)
}

/** Checks that nothing is read before it is made. */
function checkOrder({ graph, operations }: Program, field: Field): void {
  const made = new Set<Value>()
  const isThere = (value: Value): boolean => made.has(value) || value.source.kind === 'argument' || value.source.kind === 'captured'
  const now = new Map<Value, Value>()
  operations.forEach(({ inputs, outputs }, at) => {
    const current = (value: Value): boolean => (now.get(rootOf(value)) ?? rootOf(value)) === value
    for (const { value } of inputs) field.check(isThere(value) && current(value), `[${at}] reads a value that is not there`)
    for (const { value } of outputs) {
      const { source } = value
      // Parts of a new value may be written one by one.
      if (source.kind === 'update')
        field.check(isThere(source.of) && (current(source.of) || current(value)), `[${at}] updates a value that is not there`)
      made.add(value)
      now.set(rootOf(value), value)
    }
  })
  const ends = [...graph.outputs.map((x) => x.value), ...graph.writes.values()]
  for (const value of ends) field.check(isThere(value), 'do not make all that the program gives')
}
