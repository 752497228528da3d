import type { DType } from '../../dtype.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import { type Operand, type RecurrentCell, recurrentCells } from '../routine.ts'

// One step of a recurrent layer behind its product: kernels over [batch, size].

const sigmoid = (k: KernelBuilder, x: Value): Value => k.div(k.like(x, 1), k.add(k.exp(k.neg(x)), k.like(x, 1)))
/** 1 - x² without the cancellation near ±1. */
const slopeOfTanh = (k: KernelBuilder, x: Value): Value => k.mul(k.sub(k.like(x, 1), x), k.add(k.like(x, 1), x))
const slopeOfSigmoid = (k: KernelBuilder, x: Value): Value => k.mul(x, k.sub(k.like(x, 1), x))

/** `count` values side by side in memory `[batch, count, size]` of these strides. */
const parts = (k: KernelBuilder, dtype: DType, count: number, [row, part, unit]: readonly [number, number, number]): Value[] => {
  const input = k.input(dtype)
  return Array.from({ length: count }, (_, i) => k.load(input, [row, unit], i * part))
}

const dense = (count: number, size: number) => [count * size, size, 1] as const

/**
 * Inputs: the inputs' share of the gates, the state's share `[batch, gates * size]` in `raw`, and those states before the step that
 * matter: of `gru` hidden, of `lstm` cells. Outputs: the new states, then each kept number if `keeps`.
 */
export function stepKernel(cell: RecurrentCell, share: Operand, raw: DType, state: DType, keeps: boolean): Kernel {
  const [, batch, gates, size] = share.shape as readonly [number, number, number, number]
  const k = new KernelBuilder(`${cell}Step`, [batch, size])
  const fromInput = parts(k, share.dtype, gates, share.strides.slice(1) as [number, number, number])
  const fromState = parts(k, raw, gates, dense(gates, size))
  const before = () => k.load(k.input(state), [size, 1])
  const sum = (g: number) => k.add(fromInput[g]!, fromState[g]!)
  const made = (): { states: Value[]; kept: Value[] } => {
    switch (cell) {
      case 'lstm': {
        const [i, f, candidate, o] = [sigmoid(k, sum(0)), sigmoid(k, sum(1)), k.tanh(sum(2)), sigmoid(k, sum(3))]
        const next = k.add(k.mul(f, before()), k.mul(i, candidate))
        return { states: [k.mul(o, k.tanh(next)), next], kept: [i, f, candidate, o] }
      }
      case 'gru': {
        const [r, u] = [sigmoid(k, sum(0)), sigmoid(k, sum(1))]
        const candidate = k.tanh(k.add(fromInput[2]!, k.mul(r, fromState[2]!)))
        const next = k.add(k.mul(k.sub(k.like(u, 1), u), candidate), k.mul(u, before()))
        return { states: [next], kept: [r, u, candidate, fromState[2]!] }
      }
      case 'tanh':
        return { states: [k.tanh(sum(0))], kept: [] }
      case 'relu':
        return { states: [k.max(sum(0), k.like(sum(0), 0))], kept: [] }
    }
  }
  const { states, kept } = made()
  for (const value of states) k.output(state, value, [size, 1])
  if (keeps) for (const value of kept) k.output(state, value, [kept.length * size, 1])
  return k.build()
}

/**
 * Inputs: for each state the gradient that arrives at it from outside and in `raw` what comes back from the step read afterwards; for
 * `gru` what comes back past its product, too; then of `lstm` the cells behind the step and before it, of `gru` the hidden state before
 * it, else the one behind it; then what was kept. Outputs: the gradient of each gate's share of the state, then for `gru` of the inputs'
 * share, and what goes back besides the product: of `lstm` to the cells, of `gru` to the hidden state.
 */
export function stepGradKernel(cell: RecurrentCell, batch: number, size: number, raw: DType, dtypes: RecurrentGradDTypes): Kernel {
  const { gates, kept } = recurrentCells[cell]
  const { above, state, made } = dtypes
  const k = new KernelBuilder(`${cell}StepGrad`, [batch, size])
  const load = (dtype: DType) => k.load(k.input(dtype), [size, 1])
  const output = (values: readonly Value[]) => {
    for (const value of values) k.output(made, value, [gates * size, 1])
  }
  const g = k.add(load(above), load(raw))
  switch (cell) {
    case 'lstm': {
      const arriving = k.add(load(above), load(raw))
      const [after, before] = [load(state), load(state)]
      const [i, f, candidate, o] = parts(k, state, kept, dense(kept, size)) as [Value, Value, Value, Value]
      const squashed = k.tanh(after)
      const ofCell = k.add(arriving, k.mul(k.mul(g, o), slopeOfTanh(k, squashed)))
      output([
        k.mul(k.mul(ofCell, candidate), slopeOfSigmoid(k, i)),
        k.mul(k.mul(ofCell, before), slopeOfSigmoid(k, f)),
        k.mul(k.mul(ofCell, i), slopeOfTanh(k, candidate)),
        k.mul(k.mul(g, squashed), slopeOfSigmoid(k, o)),
      ])
      k.output(raw, k.mul(ofCell, f), [size, 1])
      break
    }
    case 'gru': {
      const arriving = k.add(g, load(raw))
      const before = load(state)
      const [r, u, candidate, share] = parts(k, state, kept, dense(kept, size)) as [Value, Value, Value, Value]
      const ofCandidate = k.mul(k.mul(arriving, k.sub(k.like(u, 1), u)), slopeOfTanh(k, candidate))
      const ofReset = k.mul(k.mul(ofCandidate, share), slopeOfSigmoid(k, r))
      const ofUpdate = k.mul(k.mul(arriving, k.sub(before, candidate)), slopeOfSigmoid(k, u))
      output([ofReset, ofUpdate, k.mul(ofCandidate, r)])
      output([ofReset, ofUpdate, ofCandidate])
      k.output(raw, k.mul(arriving, u), [size, 1])
      break
    }
    case 'tanh':
      output([k.mul(g, slopeOfTanh(k, load(state)))])
      break
    case 'relu': {
      const y = load(state)
      output([k.select(k.gt(y, k.like(y, 0)), g, k.like(g, 0))])
    }
  }
  return k.build()
}

interface RecurrentGradDTypes {
  /** Of the gradients that arrive. */
  readonly above: DType
  readonly state: DType
  /** Of the gradients that are made. */
  readonly made: DType
}
