import type { Step } from '../engine/engine.ts'
import { KernelBuilder, type Value } from '../engine/kernel.ts'
import { CotangentError } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { bind, bind1 } from '../tensor/bind.ts'
import type { Primitive } from '../tensor/primitive.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { stack } from './join.ts'
import { kernelPrimitive } from './kernel-op.ts'
import { one, sigmoidOf, zero } from './scalar-math.ts'
import { defineFunction, sampleTensor } from './table.ts'

/** All positions of axis 1 as tensors of their own, whose gradients come together in one join (those of views would be added up one by one). */
const stepsPrimitive: Primitive<undefined> = {
  name: 'steps',
  tangent: 'linear',
  infer: ([x]) => Array.from({ length: x!.shape[1]! }, () => ({ dtype: x!.dtype, shape: [x!.shape[0]!, ...x!.shape.slice(2)] })),
  lower([x], outputs) {
    const steps = outputs.map((y, t): Step => {
      const k = new KernelBuilder('step', y.shape)
      k.output(y.dtype, k.load(k.input(x!.dtype), [x!.strides[0]!, ...x!.strides.slice(2)]), y.strides)
      return {
        program: k.build(),
        operands: [
          { buffer: 0, offset: t * x!.strides[1]! },
          { buffer: 1 + t, offset: 0 },
        ],
        scalars: [],
      }
    })
    return { kind: 'sequence', steps }
  },
  gradient: (gradients) => [stack(gradients as Tensor[], 1) as Tensor],
  saves: (_, outputs) => ({ inputs: [false], outputs: outputs.map(() => false) }),
}

export const timeSteps = defineFunction({
  name: 'timeSteps',
  doc: 'Copies of the positions of axis 1 of [batch, time, ...]: for loops over time.',
  call: (x: Tensor): Tensor[] => {
    if (x.rank < 2) throw new CotangentError('shape-mismatch', { op: 'timeSteps', message: 'needs [batch, time, ...]', shapes: [x.shape] })
    return x.shape[1] === 0 ? [] : bind(stepsPrimitive, [x], undefined)
  },
  samples: () => [{ args: [sampleTensor([2, 3, 4])] }, { args: [sampleTensor([2, 1])] }],
})

/** Gate `which` along the reduced axis. */
const gate = (k: KernelBuilder, x: Value, which: number): Value => {
  const own = k.index(k.parallel.length)
  return k.reduce('sum', k.select(k.eq(own, k.like(own, which)), x, zero(k, x)))
}

const lstmPrimitive = kernelPrimitive<undefined>({
  name: 'lstmStep',
  accepts: ['float'],
  axes: () => [1],
  levels: ['row'],
  keepDims: true,
  code: (k, [fromInput, fromState, cell]) => {
    const gates = k.add(fromInput!, fromState!)
    const [input, forget, candidate, output] = [0, 1, 2, 3].map((g) => gate(k, gates, g)) as [Value, Value, Value, Value]
    const next = k.add(k.mul(sigmoidOf(k, forget), cell!), k.mul(sigmoidOf(k, input), k.tanh(candidate)))
    return [k.mul(sigmoidOf(k, output), k.tanh(next)), next]
  },
})

const gruPrimitive = kernelPrimitive<undefined>({
  name: 'gruStep',
  accepts: ['float'],
  axes: () => [1],
  levels: ['row'],
  keepDims: true,
  code: (k, [fromInput, fromState, hidden]) => {
    const gates = k.add(fromInput!, fromState!)
    const [reset, update] = [0, 1].map((g) => sigmoidOf(k, gate(k, gates, g))) as [Value, Value]
    const candidate = k.tanh(k.add(gate(k, fromInput!, 2), k.mul(reset, gate(k, fromState!, 2))))
    return [k.add(k.mul(k.sub(one(k, update), update), candidate), k.mul(update, hidden!))]
  },
})

function checkGates(op: string, count: number, gates: readonly Tensor[], state: Tensor): void {
  const [n, , size] = state.shape
  const shape = [n, count, size]
  if (state.rank !== 3 || state.shape[1] !== 1 || gates.some((g) => String(g.shape as Shape) !== String(shape))) {
    throw new CotangentError('shape-mismatch', {
      op,
      message: `needs gates [batch, ${count}, size] and a state [batch, 1, size]`,
      shapes: [...gates.map((g) => g.shape), state.shape],
    })
  }
}

export const lstmStep = defineFunction({
  name: 'lstmStep',
  precision: 'lower',
  doc: 'Hidden and cell state of an LSTM from its four gates (input, forget, candidate, output) [batch, 4, size], from input and state, and the cell [batch, 1, size]. Hochreiter and Schmidhuber (1997).',
  call: (fromInput: Tensor, fromState: Tensor, cell: Tensor): [hidden: Tensor, cell: Tensor] => {
    checkGates('lstmStep', 4, [fromInput, fromState], cell)
    return bind(lstmPrimitive, [fromInput, fromState, cell], undefined) as [Tensor, Tensor]
  },
  samples: () => [{ args: [sampleTensor([2, 4, 3]), sampleTensor([2, 4, 3]), sampleTensor([2, 1, 3])] }],
})

export const gruStep = defineFunction({
  name: 'gruStep',
  precision: 'lower',
  doc: 'Hidden state of a GRU from its three gates (reset, update, candidate) [batch, 3, size], from input and state, and its state [batch, 1, size]. Cho et al., arXiv:1406.1078.',
  call: (fromInput: Tensor, fromState: Tensor, hidden: Tensor): Tensor => {
    checkGates('gruStep', 3, [fromInput, fromState], hidden)
    return bind1(gruPrimitive, [fromInput, fromState, hidden], undefined)
  },
  samples: () => [{ args: [sampleTensor([2, 3, 5]), sampleTensor([2, 3, 5]), sampleTensor([2, 1, 5])] }],
})
