import { gradientsOf } from '../autograd/backward.ts'
import { variableOf } from '../autograd/grad.ts'
import { dtypeInfo, isFloat, promote } from '../dtype.ts'
import { type RecurrentAttrs, type RecurrentCell, recurrentCells } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { sameShape, type Shape } from '../layout.ts'
import * as routines from '../routines.ts'
import { bind } from '../tensor/bind.ts'
import { modes, withModes } from '../tensor/modes.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { takeAt } from './gather-scatter.ts'
import { stack } from './join.ts'
import { lengthsOf } from './lengths.ts'
import { matmul } from './matmul.ts'
import { arange } from './range.ts'
import { defineFunction, sampleTensor } from './table.ts'
import { where } from './where.ts'

interface LayerAttrs extends RecurrentAttrs {
  /** Whether what the gradient needs is an output, too. */
  readonly keep: boolean
}

const routineAttrs = ({ cell, reverse }: RecurrentAttrs): RecurrentAttrs => ({ cell, reverse })

/** Inputs and outputs are those of the routine of that name. */
const recurrentPrimitive: Primitive<LayerAttrs> = {
  name: 'recurrent',
  infer([share], { cell, keep }) {
    const { states, kept } = recurrentCells[cell]
    const { dtype, shape } = share!
    const [time, batch, , size] = shape as readonly [number, number, number, number]
    return [
      ...Array.from({ length: states }, () => ({ dtype, shape: [time + 1, batch, size] })),
      ...(keep && kept > 0 ? [{ dtype, shape: [time, batch, kept, size] }] : []),
    ]
  },
  lower: (inputs, outputs, attrs) => routines.recurrent(routineAttrs(attrs), inputs, outputs),
  gradient(gradients, { attrs, inputs, outputs, inputSpecs, wanted, unused }) {
    const { states: count } = recurrentCells[attrs.cell]
    const w = inputs[1]!
    const all = outputs as readonly Tensor[]
    const above = gradients.slice(0, count)
    // What is kept has a gradient only where this one is differentiated again.
    const ofKept = unused?.[count] === false || unused === undefined ? gradients[count] : undefined
    const found = ofKept
      ? gradientByOps(attrs, [...above, w, ...all], ofKept)
      : bind(recurrentGradPrimitive, [...above, w, ...all], routineAttrs(attrs))
    const gates = found[0]!
    const fromInput = attrs.cell === 'gru' ? found[1 + count]! : gates
    const bias = inputSpecs[2 + count]
    return [
      fromInput,
      wanted[1] ? weightGradient(attrs, all[0]!, gates) : null,
      ...found.slice(1, 1 + count),
      ...(bias ? [wanted[2 + count] ? gates.sum([0, 1]).reshape(bias.shape) : null] : []),
    ]
  },
  saves: (inputs, outputs) => ({ inputs: inputs.map((_, i) => i === 1), outputs: outputs.map(() => true) }),
}

/** All steps' hidden states times the gradients of the gates that were made of them, in one product. */
function weightGradient({ reverse }: RecurrentAttrs, hidden: Tensor, gates: Tensor): Tensor {
  const [time, batch, count, size] = gates.shape as readonly [number, number, number, number]
  const before = hidden.narrow(0, reverse ? 1 : 0, time).reshape([time * batch, size])
  return matmul(before.transpose() as Tensor, gates.reshape([time * batch, count * size]))
}

const recurrentGradPrimitive: Primitive<RecurrentAttrs> = {
  name: 'recurrentGrad',
  infer(inputs, { cell }) {
    const { gates, states } = recurrentCells[cell]
    const { dtype, shape } = inputs[0]!
    const [positions, batch, size] = shape as readonly [number, number, number]
    const share = { dtype, shape: [positions - 1, batch, gates, size] }
    const first = { dtype, shape: [batch, size] }
    return [share, ...Array.from({ length: states }, () => first), ...(cell === 'gru' ? [share] : [])]
  },
  lower: (inputs, outputs, attrs) => routines.recurrentGrad(attrs, inputs, outputs),
  gradient(gradients, { attrs, inputs, wanted }) {
    const recorded = modes.grad
    return withModes({ grad: true }, () => {
      const variables = inputs.map((x) => variableOf(x!))
      const results = gradientByOps(attrs, variables)
      const roots = results.flatMap((y, i) => (y.edge ? [{ y, seed: gradients[i]! }] : []))
      const found = gradientsOf(
        roots.map(({ y }) => y),
        variables,
        roots.map(({ seed }) => seed),
        { createGraph: recorded },
      )
      return found.map((g, i) => (wanted[i] ? g : null))
    })
  },
}

/**
 * The routine `recurrentGrad` made of ops, which have gradients themselves.
 *
 * @param ofKept Gradient that arrives at what was kept; none where nothing depends on it.
 */
function gradientByOps({ cell, reverse }: RecurrentAttrs, inputs: readonly Tensor[], ofKept?: Tensor): Tensor[] {
  const { states: count } = recurrentCells[cell]
  const [above, aboveCells] = inputs.slice(0, count) as [Tensor, Tensor | undefined]
  const turned = inputs[count]!.transpose() as Tensor
  const [hidden, cells] = inputs.slice(count + 1, 2 * count + 1) as [Tensor, Tensor | undefined]
  const kept = inputs[2 * count + 1]
  const [positions, batch, size] = hidden.shape as readonly [number, number, number]
  const time = positions - 1
  const fromState: Tensor[] = []
  const fromInput: Tensor[] = []
  let carry: Tensor | undefined
  let carryCells: Tensor | undefined
  const plus = (x: Tensor, y: Tensor | undefined): Tensor => (y ? x.add(y) : x)
  for (let i = 0; i < time; i++) {
    const t = reverse ? i : time - 1 - i
    const [before, after] = reverse ? [t + 1, t] : [t, t + 1]
    const g = plus(above.select(0, after), carry)
    const saved = (kept?.select(0, t).unbind(1) ?? []) as Tensor[]
    const extra = (ofKept?.select(0, t).unbind(1) ?? []) as (Tensor | undefined)[]
    let gates: Tensor[]
    let beside: Tensor | undefined
    switch (cell) {
      case 'lstm': {
        const [input, forget, candidate, output] = saved as [Tensor, Tensor, Tensor, Tensor]
        const squashed = cells!.select(0, after).tanh()
        const ofCell = plus(aboveCells!.select(0, after), carryCells).add(g.mul(output).mul(slopeOfTanh(squashed)))
        gates = [
          plus(ofCell.mul(candidate), extra[0]).mul(slopeOfSigmoid(input)),
          plus(ofCell.mul(cells!.select(0, before)), extra[1]).mul(slopeOfSigmoid(forget)),
          plus(ofCell.mul(input), extra[2]).mul(slopeOfTanh(candidate)),
          plus(g.mul(squashed), extra[3]).mul(slopeOfSigmoid(output)),
        ]
        carryCells = ofCell.mul(forget)
        break
      }
      case 'gru': {
        const [reset, update, candidate, share] = saved as [Tensor, Tensor, Tensor, Tensor]
        const ofCandidate = plus(g.mul(update.neg().add(1)), extra[2]).mul(slopeOfTanh(candidate))
        const ofReset = plus(ofCandidate.mul(share), extra[0]).mul(slopeOfSigmoid(reset))
        const ofUpdate = plus(g.mul(hidden.select(0, before).sub(candidate)), extra[1]).mul(slopeOfSigmoid(update))
        gates = [ofReset, ofUpdate, plus(ofCandidate.mul(reset), extra[3])]
        fromInput.push(stack([ofReset, ofUpdate, ofCandidate], 1))
        beside = g.mul(update)
        break
      }
      case 'tanh':
        gates = [g.mul(slopeOfTanh(hidden.select(0, after)))]
        break
      case 'relu':
        gates = [g.mul(hidden.select(0, after).gt(0))]
    }
    fromState.push(stack(gates, 1))
    carry = plus(matmul(fromState.at(-1)!.reshape([batch, gates.length * size]), turned), beside)
  }
  const inOrder = (steps: Tensor[]): Tensor => stack(reverse ? steps : steps.toReversed(), 0)
  const first = reverse ? time : 0
  return [
    inOrder(fromState),
    plus(above.select(0, first), carry),
    ...(aboveCells ? [plus(aboveCells.select(0, first), carryCells)] : []),
    ...(cell === 'gru' ? [inOrder(fromInput)] : []),
  ]
}

const slopeOfTanh = (y: Tensor): Tensor => y.neg().add(1).mul(y.add(1))
const slopeOfSigmoid = (y: Tensor): Tensor => y.mul(y.neg().add(1))

export interface RecurrentLayerOptions {
  readonly cell: RecurrentCell
  /** Added to the state's share of the gates: `[gates * size]`. */
  readonly bias?: Tensor | null
  /** Whether the sequence is read from its end. Default false. */
  readonly reverse?: boolean
  /**
   * How long each sequence is, int32 `[batch]`, where shorter ones are padded behind their end; default: all as long. Each is then read from its own
   * end if need be, its last state is that of its last step, and the hidden states behind are 0.
   */
  readonly lengths?: Tensor | readonly number[] | undefined
}

function check(fromInput: Tensor, weight: Tensor, states: readonly Tensor[], { cell, bias }: RecurrentLayerOptions): void {
  const known = recurrentCells[cell]
  if (!known)
    throw new CotangentError('invalid-argument', {
      op: 'recurrent',
      message: `there is no cell ${String(cell)}`,
      hint: `It is one of ${Object.keys(recurrentCells).join(', ')}.`,
    })
  const [time, batch, , size] = fromInput.shape
  const fail = (message: string, ...shapes: Shape[]) => {
    throw new CotangentError('shape-mismatch', { op: 'recurrent', message, shapes })
  }
  if (fromInput.rank !== 4 || fromInput.shape[2] !== known.gates)
    fail(`${cell} needs gates [time, batch, ${known.gates}, size]`, fromInput.shape)
  if (time === 0) fail('the sequence is empty', fromInput.shape)
  const width = known.gates * size!
  if (!sameShape(weight.shape, [size!, width])) fail(`the weights must have shape [${size}, ${width}]`, weight.shape, fromInput.shape)
  if (states.length !== known.states || states.some((s) => !sameShape(s.shape, [batch!, size!])))
    fail(`${cell} starts from ${known.states} of [${batch}, ${size}]`, ...states.map((s) => s.shape))
  if (bias && !sameShape(bias.shape, [width])) fail(`the bias must have shape [${width}]`, bias.shape)
}

/** @returns The hidden state of each step `[time, batch, size]`, and the last of each state `[batch, size]`. */
function recurrentLayer(fromInput: Tensor, weight: Tensor, states: readonly Tensor[], options: RecurrentLayerOptions): Tensor[] {
  check(fromInput, weight, states, options)
  const { cell, bias, reverse = false } = options
  const given = [fromInput, weight, ...states, ...(bias ? [bias] : [])]
  const dtype = given.map((x) => x.dtype).reduce(promote)
  if (!isFloat(dtype))
    throw new CotangentError('dtype-mismatch', {
      op: 'recurrent',
      message: `is defined on floats only, not on ${dtypeInfo[dtype].kind}s`,
      dtypes: given.map((x) => x.dtype),
      hint: "Cast with x.cast('float32').",
    })
  const [time, batch] = fromInput.shape as readonly [number, number]
  const lengths = options.lengths && lengthsOf('recurrent', 'lengths', options.lengths, batch, time)
  // Each sequence turned over within its length, for which nothing is read from behind its end.
  const turned = lengths && reverse ? turnedSteps(lengths, time) : undefined
  const keep = modes.tracer?.variable !== undefined || (modes.grad && given.some((x) => x.requiresGrad))
  const outputs = bind(
    recurrentPrimitive,
    given.map((x, i) => (turned && i === 0 ? atSteps(x, turned) : x).cast(dtype)),
    { cell, reverse: reverse && !lengths, keep },
  ).slice(0, states.length)
  if (lengths) {
    const hidden = outputs[0]!.narrow(0, 1, time)
    const inside = (arange(time).unsqueeze(1) as Tensor).lt(lengths).unsqueeze(-1) as Tensor
    return [where(inside, turned ? atSteps(hidden, turned) : hidden, 0) as Tensor, ...outputs.map((all) => atSteps(all, lengths))]
  }
  const last = reverse ? 0 : time
  return [outputs[0]!.narrow(0, reverse ? 0 : 1, time), ...outputs.map((all) => all.select(0, last))]
}

/** The step that stands at each one when sequences are turned over, those behind their ends left where they are: `[time, batch]`. */
function turnedSteps(lengths: Tensor, time: number): Tensor {
  const steps = arange(time).unsqueeze(1) as Tensor
  const fromEnd = lengths.sub(steps).sub(1)
  return where(fromEnd.ge(0), fromEnd, steps) as Tensor
}

/** Of `x [time, batch, ...]` the values at a step, or several, of each sample: `steps [..., batch]`. */
function atSteps(x: Tensor, steps: Tensor): Tensor {
  return takeAt(x, [steps, arange(x.shape[1]!)], { axes: [0, 1], at: 0 })
}

export const recurrent = defineFunction({
  name: 'recurrent',
  precision: 'lower',
  doc: "A recurrent layer (cell 'lstm', 'gru', 'tanh' or 'relu') over the inputs' share of its gates [time, batch, gates, size], with weights of the state [size, gates * size], from first states [batch, size] (lstm: hidden and cell): the hidden state of each step, and the last states.",
  call: recurrentLayer,
  samples: () => {
    const sample = (cell: RecurrentCell, [time, batch, size]: readonly [number, number, number], options: object = {}) => {
      const { gates, states } = recurrentCells[cell]
      const first = Array.from({ length: states }, () => sampleTensor([batch, size]))
      return { args: [sampleTensor([time, batch, gates, size]), sampleTensor([size, gates * size]), first, { cell, ...options }] }
    }
    return [
      sample('lstm', [3, 2, 3], { bias: sampleTensor([12]) }),
      sample('lstm', [2, 1, 5], { reverse: true }),
      sample('gru', [3, 2, 3], { bias: sampleTensor([9]) }),
      sample('gru', [2, 3, 2], { reverse: true }),
      sample('tanh', [4, 2, 3], { bias: sampleTensor([3]), reverse: true }),
      sample('relu', [2, 2, 4]),
      sample('lstm', [3, 3, 2], { lengths: [2, 3, 0] }),
      sample('gru', [3, 2, 2], { lengths: [3, 1], reverse: true }),
    ]
  },
})
