import { type DType, isFloat } from '../dtype.ts'
import {
  type AttentionAttrs,
  type Operand,
  type Routine,
  type RecurrentAttrs,
  type RecurrentCell,
  recurrentCells,
  type RoutineAttrs,
  type RoutineName,
  scatterModes,
  type WindowGeometry,
  withEpilogue,
  withoutEpilogue,
} from '../engine/routine.ts'
import { rowMajor, sameShape, type Shape, sizeOf } from '../layout.ts'
import * as routines from '../routines.ts'
import { type Field, pointsOf } from './field.ts'
import { limits, type RoutineFile } from './format.ts'
import { kernelFromFile, kernelToFile } from './kernel-file.ts'

const routineNames = [
  'matmul',
  'conv',
  'convGradInput',
  'convGradWeight',
  'maxPool',
  'maxPoolGrad',
  'fold',
  'sort',
  'scatter',
  'cumulative',
  'recurrent',
  'recurrentGrad',
  'attention',
  'attentionGrad',
] as const satisfies readonly RoutineName[]

export function routineToFile(routine: Routine): RoutineFile {
  const { name, attrs: all, inputs, outputs } = withoutEpilogue(routine)
  // A permission to be less precise is not part of what a program means.
  const attrs = name === 'matmul' ? {} : all
  const { epilogue } = routine
  const operand = ({ dtype, shape, strides }: Operand) => ({ dtype, shape, strides })
  return {
    routine: name,
    attrs,
    inputs: inputs.map(operand),
    outputs: outputs.map(operand),
    ...(epilogue && { epilogue: kernelToFile(epilogue) }),
  }
}

/** A routine whose attributes and shapes fit together; where its operands lie is for its operation to check. */
export function routineFromFile(field: Field): Routine {
  const parts = field.object(['routine', 'attrs', 'inputs', 'outputs'], ['epilogue'])
  const name = parts.routine.oneOf(routineNames)
  const inputs = parts.inputs.list(7, 1).map(operandFromFile)
  const outputs = parts.outputs.list(3, 1).map(operandFromFile)
  outputs.forEach(({ shape, strides }, i) =>
    field.check(
      rowMajor(shape).every((s, axis) => s === strides[axis] || sizeOf(shape) === 0),
      `.outputs[${i}] is not dense`,
    ),
  )
  const attrs = meanings[name](parts.attrs, new Shapes(field, inputs, outputs))
  const plain = (routines[name] as routines.MakeRoutine<RoutineName>)(attrs as Routine['attrs'], inputs, outputs)
  if (!parts.epilogue) return plain
  const epilogue = kernelFromFile(parts.epilogue)
  const [raw] = outputs
  parts.epilogue.check(outputs.length === 1, 'follows a routine of several results')
  parts.epilogue.check(epilogue.reduce.length === 0, 'reduces')
  parts.epilogue.check(sameShape(epilogue.parallel, raw!.shape), 'walks over another shape than that of the result')
  parts.epilogue.check(epilogue.inputs[0] === raw!.dtype, 'has another first input than the result')
  const dense = rowMajor(epilogue.parallel)
  const isDense = (strides: readonly number[]) => epilogue.parallel.every((n, axis) => n <= 1 || strides[axis] === dense[axis])
  parts.epilogue.check(
    epilogue.outputs.every(({ strides }) => isDense(strides)),
    'has outputs that are not dense',
  )
  for (const node of epilogue.nodes) {
    if (node.op === 'load' && node.input === 0)
      parts.epilogue.check(node.offset === 0 && isDense(node.strides), 'reads the result elsewhere than where it is made')
    if (node.op === 'gather') parts.epilogue.check(node.input !== 0, 'gathers from the result')
  }
  // Only their dtypes count: how they are read is said by the code.
  const operands = epilogue.inputs.slice(1).map((dtype) => ({ dtype, shape: [], strides: [] }))
  return withEpilogue(plain, epilogue, operands)
}

function operandFromFile(field: Field): Operand {
  const parts = field.object(['dtype', 'shape', 'strides'])
  const shape = parts.shape.shape()
  return { dtype: parts.dtype.dtype(), shape, strides: parts.strides.strides(shape.length) }
}

/** The operands of a routine, for rules about their shapes. */
class Shapes {
  readonly field: Field
  readonly inputs: readonly Shape[]
  readonly outputs: readonly Shape[]
  readonly #dtypes: { readonly inputs: readonly DType[]; readonly outputs: readonly DType[] }

  constructor(field: Field, inputs: readonly Operand[], outputs: readonly Operand[]) {
    this.field = field
    this.inputs = inputs.map((x) => x.shape)
    this.outputs = outputs.map((x) => x.shape)
    this.#dtypes = { inputs: inputs.map((x) => x.dtype), outputs: outputs.map((x) => x.dtype) }
  }

  /** Checks how many there are. */
  count(least: number, most: number, outputs: number): void {
    const { length } = this.inputs
    this.field.check(length >= least && length <= most && this.outputs.length === outputs, 'has another number of inputs or outputs')
  }

  int32(kind: 'inputs' | 'outputs', at: number): void {
    this.field.check(this.#dtypes[kind][at] === 'int32', `.${kind}[${at}] is no int32`)
  }

  /** Checks those of some of the inputs and outputs; without positions, of all. */
  oneFloat(inputs: readonly number[] = [...this.inputs.keys()], outputs: readonly number[] = [...this.outputs.keys()]): void {
    const all = [...inputs.map((i) => this.#dtypes.inputs[i]!), ...outputs.map((i) => this.#dtypes.outputs[i]!)]
    this.field.check(isFloat(all[0]!) && all.every((dtype) => dtype === all[0]), 'has operands of several dtypes, or none of floats')
  }

  /** Log-sums that go with the first input, and a mask, of attention. */
  ofAttention(kind: 'inputs' | 'outputs', logSums: number, mask: number): void {
    const { inputs } = this.#dtypes
    this.field.check(
      this.#dtypes[kind][logSums] === (inputs[0] === 'float64' ? 'float64' : 'float32'),
      `.${kind}[${logSums}] has another dtype than log-sums`,
    )
    const of = inputs[mask]
    this.field.check(of === undefined || of === 'bool' || isFloat(of), `.inputs[${mask}] is no mask`)
  }

  fit(holds: boolean): void {
    this.field.check(holds, 'has shapes that do not fit together')
  }

  work(...sizes: readonly Shape[]): void {
    this.field.check(pointsOf(sizes.flat()) <= limits.points, 'takes too many steps')
  }
}

type Meanings = { readonly [N in RoutineName]: (attrs: Field, shapes: Shapes) => RoutineAttrs[N] }

const meanings: Meanings = {
  matmul(attrs, s) {
    attrs.object([])
    s.count(2, 3, 1)
    const [a, b, bias] = s.inputs
    const [y] = s.outputs
    const rank = y!.length
    s.fit(rank >= 2 && a!.length === rank && b!.length === rank)
    const [m, n, k] = [y!.at(-2)!, y!.at(-1)!, a!.at(-1)!]
    const batch = y!.slice(0, -2)
    s.fit(sameShape(a!, [...batch, m, k]) && sameShape(b!, [...batch, k, n]) && (!bias || sameShape(bias, [n])))
    s.work(y!, [k])
    return {}
  },
  conv(attrs, s) {
    s.count(2, 3, 1)
    const [x, w, bias] = s.inputs
    const [y] = s.outputs
    s.fit(!bias || sameShape(bias, [y!.at(-1)!]))
    return convolution(attrs, s, x!, w!, y!)
  },
  convGradInput(attrs, s) {
    s.count(2, 2, 1)
    return convolution(attrs, s, s.outputs[0]!, s.inputs[1]!, s.inputs[0]!)
  },
  convGradWeight(attrs, s) {
    s.count(2, 2, 1)
    return convolution(attrs, s, s.inputs[0]!, s.outputs[0]!, s.inputs[1]!)
  },
  maxPool(attrs, s) {
    s.count(1, 1, 2)
    s.int32('outputs', 1)
    const geometry = geometryOf(attrs.object(windowFields))
    const [x] = s.inputs
    const [y, positions] = s.outputs
    s.fit(sameShape(y!, positions!))
    fitWindows(geometry, s, x!, y!)
    s.fit(x!.at(-1) === y!.at(-1))
    return geometry
  },
  maxPoolGrad(attrs, s) {
    attrs.object([])
    s.count(2, 2, 1)
    s.int32('inputs', 1)
    const [gradient, positions] = s.inputs
    const [x] = s.outputs
    s.fit(gradient!.length >= 2 && x!.length >= 2 && sameShape(gradient!, positions!))
    s.fit(gradient![0] === x![0] && gradient!.at(-1) === x!.at(-1))
    return {}
  },
  fold(attrs, s) {
    s.count(1, 1, 1)
    const geometry = geometryOf(attrs.object(windowFields))
    const [x] = s.inputs
    const [y] = s.outputs
    const rank = geometry.kernel.length
    s.fit(y!.length === rank + 2 && x!.length === 2 * rank + 2)
    const windows = x!.slice(1, 1 + rank)
    fitWindows(geometry, s, y!, [x![0]!, ...windows, x!.at(-1)!])
    s.fit(sameShape(x!, [y![0]!, ...windows, ...geometry.kernel, y!.at(-1)!]))
    return geometry
  },
  sort(attrs, s) {
    const { descending } = attrs.object(['descending'])
    s.count(1, 1, 2)
    s.int32('outputs', 1)
    s.fit(s.outputs.every((y) => sameShape(y, s.inputs[0]!)))
    return { descending: descending.boolean() }
  },
  scatter(attrs, s) {
    const parts = attrs.object(['axis', 'mode'])
    s.count(3, 3, 1)
    s.int32('inputs', 1)
    const [base, index, source] = s.inputs
    const axis = parts.axis.integer(0, base!.length - 1)
    s.fit(sameShape(base!, s.outputs[0]!) && sameShape(index!, source!) && index!.length === base!.length)
    s.fit(index!.every((n, a) => a === axis || n <= base![a]!))
    return { axis, mode: parts.mode.oneOf(scatterModes) }
  },
  cumulative(attrs, s) {
    const parts = attrs.object(['axis', 'combine', 'reverse'])
    s.count(1, 1, 1)
    const [x] = s.inputs
    s.fit(sameShape(x!, s.outputs[0]!))
    const combine = parts.combine.oneOf(['sum', 'prod', 'max', 'min'] as const)
    return { axis: parts.axis.integer(0, x!.length - 1), combine, reverse: parts.reverse.boolean() }
  },
  recurrent(attrs, s) {
    const parsed = recurrentOf(attrs)
    const { gates, states, kept } = recurrentCells[parsed.cell]
    s.count(2 + states, 3 + states, s.outputs.length)
    s.fit(s.outputs.length === states || (kept > 0 && s.outputs.length === states + 1))
    s.oneFloat()
    const [share, w, ...others] = s.inputs
    s.fit(share!.length === 4 && share![2] === gates)
    const [time, batch, , size] = share as readonly [number, number, number, number]
    s.fit(sameShape(w!, [size, gates * size]))
    others.forEach((x, i) => s.fit(sameShape(x, i < states ? [batch, size] : [gates * size])))
    s.outputs.forEach((y, i) => s.fit(sameShape(y, i < states ? [time + 1, batch, size] : [time, batch, kept, size])))
    s.work(share!, [size])
    return parsed
  },
  recurrentGrad(attrs, s) {
    const parsed = recurrentOf(attrs)
    const { gates, states, kept } = recurrentCells[parsed.cell]
    const wanted = 2 * states + 1 + (kept > 0 ? 1 : 0)
    s.count(wanted, wanted, 1 + states + (parsed.cell === 'gru' ? 1 : 0))
    s.oneFloat()
    const [given, ...made] = s.outputs
    s.fit(given!.length === 4 && given![2] === gates)
    const [time, batch, , size] = given as readonly [number, number, number, number]
    made.forEach((y, i) => s.fit(sameShape(y, i < states ? [batch, size] : given!)))
    s.inputs.forEach((x, i) => {
      const whole = i === 2 * states + 1 ? [time, batch, kept, size] : [time + 1, batch, size]
      s.fit(sameShape(x, i === states ? [size, gates * size] : whole))
    })
    s.work(given!, [size])
    return parsed
  },
  attention(attrs, s) {
    const parsed = attentionOf(attrs)
    s.count(3, 4, 2)
    s.oneFloat([0, 1, 2], [0])
    s.ofAttention('outputs', 1, 3)
    const [q, k, v, mask] = s.inputs
    const [y, logSums] = s.outputs
    fitAttention(s, [q!, k!, v!], mask)
    s.fit(sameShape(y!, [...q!.slice(0, -1), v!.at(-1)!]) && sameShape(logSums!, q!.slice(0, -1)))
    return parsed
  },
  attentionGrad(attrs, s) {
    const parsed = attentionOf(attrs)
    s.count(6, 7, 3)
    s.oneFloat([0, 1, 2, 3, 4])
    s.ofAttention('inputs', 5, 6)
    const [g, q, k, v, y, logSums, mask] = s.inputs
    fitAttention(s, [q!, k!, v!], mask)
    s.fit([g!, y!].every((x) => sameShape(x, [...q!.slice(0, -1), v!.at(-1)!])) && sameShape(logSums!, q!.slice(0, -1)))
    s.fit([q!, k!, v!].every((x, i) => sameShape(x, s.outputs[i]!)))
    return parsed
  },
}

function attentionOf(attrs: Field): AttentionAttrs {
  const { scale, causal } = attrs.object(['scale', 'causal'])
  return { scale: scale.finite(), causal: causal.boolean() }
}

function fitAttention(s: Shapes, [q, k, v]: readonly [Shape, Shape, Shape], mask: Shape | undefined): void {
  s.fit(q.length >= 2 && k.length === q.length && v.length === q.length)
  s.fit([k, v].every((x) => sameShape(x.slice(0, -2), q.slice(0, -2))) && k.at(-1) === q.at(-1) && k.at(-2) === v.at(-2))
  s.fit(!mask || sameShape(mask, [...q.slice(0, -1), k.at(-2)!]))
  s.work(q, [k.at(-2)!, v.at(-1)!])
}

const cellNames = /* @__PURE__ */ Object.keys(recurrentCells) as [RecurrentCell, ...RecurrentCell[]]

function recurrentOf(attrs: Field): RecurrentAttrs {
  const { cell, reverse } = attrs.object(['cell', 'reverse'])
  return { cell: cell.oneOf(cellNames), reverse: reverse.boolean() }
}

const windowFields = ['kernel', 'stride', 'padding', 'dilation'] as const

function geometryOf(parts: Record<(typeof windowFields)[number], Field>): WindowGeometry {
  const most = 2 ** 20
  const kernel = parts.kernel.list(limits.rank).map((n) => n.integer(1, most))
  const sizes = (field: Field) => field.list(kernel.length, kernel.length).map((n) => n.integer(1, most))
  return {
    kernel,
    stride: sizes(parts.stride),
    dilation: sizes(parts.dilation),
    padding: parts.padding.list(kernel.length, kernel.length).map((pair) => {
      const [before, after] = pair.list(2, 2).map((n) => n.integer(0, most))
      return [before!, after!] as const
    }),
  }
}

/** Checks that `windows` are as many as fit into `x`, axis by axis; both are `[batch, ...spatial, channels]`. */
function fitWindows({ kernel, stride, padding, dilation }: WindowGeometry, s: Shapes, x: Shape, windows: Shape): void {
  s.fit(x.length === kernel.length + 2 && windows.length === x.length && x[0] === windows[0])
  kernel.forEach((k, axis) => {
    const room = x[axis + 1]! + padding[axis]![0] + padding[axis]![1] - dilation[axis]! * (k - 1) - 1
    s.fit(windows[axis + 1] === Math.max(0, Math.floor(room / stride[axis]!) + 1))
  })
  s.work(windows, kernel)
}

function convolution(attrs: Field, s: Shapes, x: Shape, w: Shape, y: Shape): RoutineAttrs['conv'] {
  const parts = attrs.object([...windowFields, 'groups'])
  const geometry = geometryOf(parts)
  const groups = parts.groups.integer(1, 2 ** 31 - 1)
  fitWindows(geometry, s, x, y)
  const [channelsIn, channelsOut] = [x.at(-1)!, y.at(-1)!]
  s.fit(channelsIn % groups === 0 && channelsOut % groups === 0 && sameShape(w, [...geometry.kernel, channelsIn / groups, channelsOut]))
  s.work(y, geometry.kernel, [channelsIn / groups])
  return { ...geometry, groups }
}
