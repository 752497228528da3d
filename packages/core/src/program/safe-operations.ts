import { type Kernel, KernelBuilder } from '../engine/kernel.ts'
import type { Routine } from '../engine/routine.ts'
import type { Flow } from '../graph/control/flow.ts'
import type { GraphNode, Value } from '../graph/graph.ts'
import { type Operation, type Place, rootOf } from '../graph/program.ts'
import { sizeOf } from '../layout.ts'
import type { Field } from './field.ts'
import { clampGathers, type Interval, intervalOfDType, intervalsOf } from './intervals.ts'

/** A kernel or routine of a file. */
export type StraightOperation = Operation & { readonly program: Kernel | Routine }

/** An operation of a file. */
export type FileOperation = Operation & { readonly program: Kernel | Routine | Flow }

export const isStraight = (operation: FileOperation): operation is StraightOperation => operation.program.kind !== 'control'

/**
 * The operations with code that holds every index within bounds and fills memory which is not surely written as a whole before
 * it is read. Programs that this library wrote mostly stay as they are: their indices are seen to be in range.
 */
export function guardOperations(operations: readonly FileOperation[], field: Field): Operation[] {
  const writers = new Map<Value, number>()
  for (const { outputs } of operations) for (const { value } of outputs) writers.set(rootOf(value), (writers.get(rootOf(value)) ?? 0) + 1)
  const known = new Map<Value, Interval>()
  const filled = new Set<Value>()
  const guarded: Operation[] = []
  let ids = -1
  const rangeOf = (value: Value): Interval | undefined => known.get(value) ?? intervalOfDType(value.dtype)

  for (const operation of operations) {
    for (const [o, { value }] of operation.outputs.entries()) {
      const root = rootOf(value)
      if (root.source.kind !== 'result' || filled.has(root)) continue
      filled.add(root)
      if (!writesWhole(operation, o)) guarded.push(fill(root))
    }
    if (!isStraight(operation)) {
      guarded.push(operation)
      continue
    }
    const { program, inputs, outputs } = operation
    let safe: StraightOperation = operation
    if (program.kind === 'kernel') {
      const sizes = inputs.map(({ value }) => value.size)
      const code = clampGathers(
        program,
        sizes,
        inputs.map(({ value }) => rangeOf(value)),
      )
      safe = { ...operation, program: code }
      const ranges = intervalsOf(
        code,
        inputs.map(({ value }) => rangeOf(value)),
      )
      outputs.forEach(({ value }, o) => {
        const { dtype, node } = code.outputs[o]!
        if (dtype === 'int32' && ranges[node] && writers.get(rootOf(value)) === 1 && writesWhole(operation, o))
          known.set(value, ranges[node])
      })
    } else {
      if (program.epilogue) {
        const own = inputs.length - program.epilogue.inputs.length + 1
        const operands = inputs.slice(own).map(({ value }) => value)
        const epilogue = clampGathers(program.epilogue, [0, ...operands.map((v) => v.size)], [undefined, ...operands.map(rangeOf)])
        safe = { ...operation, program: { ...program, epilogue } }
      }
      const shape = program.inputs[0]!.shape
      if (program.name === 'maxPool' && writers.get(rootOf(outputs[1]!.value)) === 1 && writesWhole(operation, 1))
        known.set(outputs[1]!.value, [-1, sizeOf(shape.slice(1, -1)) - 1])
      if (program.name === 'sort' && writers.get(rootOf(outputs[1]!.value)) === 1 && writesWhole(operation, 1))
        known.set(outputs[1]!.value, [0, Math.max(0, (shape.at(-1) ?? 1) - 1)])
      const bounds = indexBounds(operation)
      if (bounds && sizeOf(program.inputs[1]!.shape) > 0) {
        field.check(bounds[1] >= 0, 'hold indices of something empty')
        const place = inputs[1]!
        const [low, high] = rangeOf(place.value)!
        if (low < bounds[0] || high > bounds[1]) {
          const clamped = clamp(place, bounds, ids--)
          guarded.push(clamped)
          safe = { ...safe, inputs: [inputs[0]!, { value: clamped.outputs[0]!.value, offset: place.offset }, ...inputs.slice(2)] }
        }
      }
    }
    guarded.push(safe)
  }
  return guarded
}

/** What elements of a routine's second input have to be, where they are places. */
function indexBounds({ program }: StraightOperation): Interval | undefined {
  if (program.kind !== 'routine') return undefined
  const { name, inputs, outputs } = program
  if (name === 'scatter') return [0, inputs[0]!.shape[(program.attrs as { axis: number }).axis]! - 1]
  if (name === 'maxPoolGrad') return [-1, sizeOf(outputs[0]!.shape.slice(1, -1)) - 1]
  return undefined
}

function writesWhole({ program, outputs }: FileOperation, output: number): boolean {
  const { value, offset } = outputs[output]!
  if (offset !== 0 || value.source.kind !== 'result') return false
  if (program.kind === 'control') return program.surelyWrites(output)
  if (program.kind === 'routine') return sizeOf(program.outputs[output]!.shape) === value.size
  return coversDensely(program, program.outputs[output]!.strides, value.size)
}

/** Whether a kernel's output, which writes no element twice, writes as many as there are. */
function coversDensely({ parallel, reduce }: Kernel, strides: readonly number[], size: number): boolean {
  const perElement = strides.some((s, axis) => axis >= parallel.length && s !== 0)
  return sizeOf(perElement ? [...parallel, ...reduce] : parallel) === size
}

function fill(value: Value): Operation {
  const k = new KernelBuilder('fill', [value.size])
  k.output(value.dtype, k.constant('int32', 0), [1])
  return { program: k.build(), inputs: [], outputs: [{ value, offset: 0 }], numbers: [], origins: [] }
}

function clamp({ value }: Place, [low, high]: Interval, id: number): Operation {
  const k = new KernelBuilder('clamp', [value.size])
  const x = k.load(k.input('int32'), [1])
  k.output('int32', k.min(k.max(x, k.like(x, low)), k.like(x, high)), [1])
  const made: Value = { id, dtype: 'int32', size: value.size, source: { kind: 'result', node: {} as GraphNode, index: 0 } }
  return { program: k.build(), inputs: [{ value, offset: 0 }], outputs: [{ value: made, offset: 0 }], numbers: [], origins: [] }
}
