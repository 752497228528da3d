import type { DType } from '../dtype.ts'
import type { RecurrentCell as CellKind } from '../engine/routine.ts'
import { CotangentError } from '../errors.ts'
import { type Shape, sameShape } from '../layout.ts'
import { concat, dropout, gruStep, linear, lstmStep, recurrent, type RecurrentLayerOptions, stack, zeros } from '../op/index.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { checkCounts, drawBounded } from './draw.ts'
import { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** Parameters of one step of a recurrent network. */
export interface RecurrentCellOptions {
  /** Whether biases are added (default). */
  readonly bias?: boolean
  /** Of the parameters; default float32. */
  readonly dtype?: DType
}

/** Weights of one recurrent cell with `gates` per unit: `weightIh [in, gates * hidden]`, `weightHh [hidden, gates * hidden]`. */
abstract class RecurrentCell extends Module {
  readonly inputSize: number
  readonly hiddenSize: number
  readonly gates: number
  /** Which of the cells that whole sequences are computed with. */
  abstract readonly kind: CellKind
  weightIh: Parameter<[number, number]>
  weightHh: Parameter<[number, number]>
  biasIh: Parameter<[number]> | null
  biasHh: Parameter<[number]> | null

  constructor(gates: number, inputSize: number, hiddenSize: number, { bias = true, dtype = 'float32' }: RecurrentCellOptions) {
    super()
    checkCounts(this.constructor.name, { inputSize, hiddenSize })
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    this.gates = gates
    const [width, bound] = [gates * hiddenSize, 1 / Math.sqrt(hiddenSize)]
    this.weightIh = drawBounded([inputSize, width], bound, dtype)
    this.weightHh = drawBounded([hiddenSize, width], bound, dtype)
    this.biasIh = bias ? drawBounded([width], bound, dtype) : null
    this.biasHh = bias ? drawBounded([width], bound, dtype) : null
  }

  /** What the inputs give to the gates: `[batch, ..., in]` to `[batch, ..., gates, hidden]`. */
  fromInput(x: Tensor): Tensor {
    return linear(x, this.weightIh as Tensor, this.biasIh as Tensor | null).reshape([...x.shape.slice(0, -1), this.gates, this.hiddenSize])
  }

  /** The next state `[batch, 1, hidden]`, first of `states`, from the gates' share of the input `[batch, gates, hidden]`. */
  abstract step(fromInput: Tensor, states: readonly Tensor[]): Tensor[]

  protected fromState(hidden: Tensor): Tensor {
    return linear(hidden, this.weightHh as Tensor, this.biasHh as Tensor | null).reshape([hidden.shape[0]!, this.gates, this.hiddenSize])
  }

  /** One step over inputs `[batch, in]`, from states `[batch, hidden]`. */
  protected once(x: Tensor, states: readonly Tensor[]): Tensor[] {
    checkInput(this, x, 2)
    const wanted = [x.shape[0]!, this.hiddenSize]
    for (const state of states) checkState(this.constructor.name, state, wanted)
    return this.step(
      this.fromInput(x),
      states.map((s) => s.unsqueeze(1) as Tensor),
    ).map((s) => s.squeeze(1) as Tensor)
  }

  protected zeroState(x: Tensor): Tensor {
    return zeros([x.shape[0]!, this.hiddenSize], { dtype: this.weightIh.dtype }) as Tensor
  }

  /** Multiply-adds of one step of one sample. */
  get stepMacs(): number {
    return this.weightIh.size + this.weightHh.size
  }

  override macs([x]: readonly Shape[]): number {
    return x![0]! * this.stepMacs
  }

  override describe(): string {
    return `${this.inputSize}, ${this.hiddenSize}${this.biasIh ? '' : ', bias: false'}`
  }
}

function checkInput(module: { readonly inputSize: number }, x: Tensor, rank: number): void {
  if (x.rank !== rank || x.shape.at(-1) !== module.inputSize) {
    throw new CotangentError('shape-mismatch', {
      op: module.constructor.name,
      message: `expected ${rank === 2 ? '[batch' : '[batch, time'}, ${module.inputSize}]`,
      shapes: [x.shape],
    })
  }
}

function checkState(op: string, state: Tensor, shape: Shape): void {
  if (!sameShape(state.shape, shape))
    throw new CotangentError('shape-mismatch', { op, message: `the state must have shape [${shape.join(', ')}]`, shapes: [state.shape] })
}

/** What `RNN` applies to the sum of input and state. Default `tanh`. */
export type RNNNonlinearity = 'tanh' | 'relu'

/** h' = tanh(x @ weightIh + biasIh + h @ weightHh + biasHh). The weights are the transposes of PyTorch's. Elman (1990). */
export class RNNCell extends RecurrentCell {
  readonly nonlinearity: RNNNonlinearity

  get kind(): RNNNonlinearity {
    return this.nonlinearity
  }

  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions & { readonly nonlinearity?: RNNNonlinearity } = {}) {
    super(1, inputSize, hiddenSize, options)
    this.nonlinearity = options.nonlinearity ?? 'tanh'
  }

  step(fromInput: Tensor, [hidden]: readonly Tensor[]): Tensor[] {
    const sum: Tensor = fromInput.add(this.fromState(hidden!))
    return [this.nonlinearity === 'tanh' ? sum.tanh() : sum.relu()]
  }

  forward(x: Tensor, hidden: Tensor = this.zeroState(x)): Tensor {
    return this.once(x, [hidden])[0]!
  }
}

/** Long short-term memory; gates in the order input, forget, candidate, output. The weights are the transposes of PyTorch's. */
export class LSTMCell extends RecurrentCell {
  get kind(): 'lstm' {
    return 'lstm'
  }

  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super(4, inputSize, hiddenSize, options)
  }

  step(fromInput: Tensor, [hidden, cell]: readonly Tensor[]): Tensor[] {
    return lstmStep(fromInput, this.fromState(hidden!), cell!)
  }

  /** @returns Hidden and cell state. */
  forward(
    x: Tensor,
    [hidden, cell]: readonly [hidden: Tensor, cell: Tensor] = [this.zeroState(x), this.zeroState(x)],
  ): [hidden: Tensor, cell: Tensor] {
    return this.once(x, [hidden, cell]) as [Tensor, Tensor]
  }
}

/** Gated recurrent unit; gates in the order reset, update, candidate. The weights are the transposes of PyTorch's. */
export class GRUCell extends RecurrentCell {
  get kind(): 'gru' {
    return 'gru'
  }

  constructor(inputSize: number, hiddenSize: number, options: RecurrentCellOptions = {}) {
    super(3, inputSize, hiddenSize, options)
  }

  step(fromInput: Tensor, [hidden]: readonly Tensor[]): Tensor[] {
    return [gruStep(fromInput, this.fromState(hidden!), hidden!)]
  }

  forward(x: Tensor, hidden: Tensor = this.zeroState(x)): Tensor {
    return this.once(x, [hidden])[0]!
  }
}

/** Layers, directions and parameters of a recurrent network. */
export interface RecurrentOptions extends RecurrentCellOptions {
  /** Layers, each over the outputs of the one before. Default 1. */
  readonly layers?: number
  /** Whether a second cell in each layer reads the sequence backwards; outputs are joined along the last axis. */
  readonly bidirectional?: boolean
  /** Probability of dropping elements between layers while training. Default 0. */
  readonly dropout?: number
  /** Whether sequences are `[batch, time, size]` (default; unlike PyTorch) or `[time, batch, size]`. */
  readonly batchFirst?: boolean
}

/** What a call of a recurrent layer may say besides. */
export interface SequenceOptions {
  /**
   * How long each sequence of the batch is, where shorter ones are padded behind their end, by finite numbers; default: all as long. As with PyTorch's packed
   * sequences, of which this is what they are for: outputs behind the end are 0, final states are those of each sequence's last step, and the
   * backward direction begins there. Sequences of length 0 leave the states as they were.
   */
  readonly lengths?: Tensor | readonly number[]
}

/** A layer's cells: `forward`, and `backward` if it is bidirectional. */
type Directions<C> = { readonly forward: C; readonly backward?: C }

/** Layers of cells over sequences. Parameters are named like `cells.0.forward.weightIh`. */
abstract class Recurrent<C extends RecurrentCell> extends Module {
  readonly inputSize: number
  readonly hiddenSize: number
  readonly dropout: number
  readonly batchFirst: boolean
  readonly cells: readonly Directions<C>[]
  readonly #states: number

  constructor(states: number, makeCell: (inputSize: number) => C, inputSize: number, hiddenSize: number, options: RecurrentOptions) {
    super()
    const { layers = 1, bidirectional = false, batchFirst = true } = options
    checkCounts(this.constructor.name, { layers, inputSize, hiddenSize })
    this.inputSize = inputSize
    this.hiddenSize = hiddenSize
    this.dropout = options.dropout ?? 0
    this.batchFirst = batchFirst
    this.#states = states
    this.cells = Array.from({ length: layers }, (_, i) => {
      const size = i === 0 ? inputSize : hiddenSize * (bidirectional ? 2 : 1)
      return bidirectional ? { forward: makeCell(size), backward: makeCell(size) } : { forward: makeCell(size) }
    })
  }

  /** Outputs of the last layer, and the final states, each `[layers * directions, batch, hidden]`. */
  protected run(input: Tensor, initial: readonly Tensor[] | undefined, { lengths }: SequenceOptions): [output: Tensor, states: Tensor[]] {
    const given = this.batchFirst || input.rank !== 3 ? input : input.transpose(0, 1)
    checkInput(this, given, 3)
    const directions = this.cells[0]!.backward ? 2 : 1
    const [batch, time] = given.shape as readonly [number, number]
    const shape = [this.cells.length * directions, batch, this.hiddenSize]
    for (const state of initial ?? []) checkState(this.constructor.name, state, shape)
    if (time === 0)
      throw new CotangentError('shape-mismatch', { op: this.constructor.name, message: 'the sequences are empty', shapes: [input.shape] })
    const start = (at: number): Tensor[] =>
      Array.from(
        { length: this.#states },
        (_, i): Tensor => initial?.[i]?.select(0, at) ?? (zeros([batch, this.hiddenSize], { dtype: given.dtype }) as Tensor),
      )
    const finals: Tensor[][] = []
    let x: Tensor = given.transpose(0, 1)
    this.cells.forEach(({ forward, backward }, layer) => {
      if (layer > 0 && this.training && this.dropout > 0) x = dropout(x, this.dropout)
      const [output, ...ends] = overTime(forward, x, start(layer * directions), { reverse: false, lengths })
      finals.push(ends)
      if (backward) {
        const [reversed, ...others] = overTime(backward, x, start(layer * directions + 1), { reverse: true, lengths })
        finals.push(others)
        x = concat([output, reversed] as readonly Tensor[], -1)
      } else x = output
    })
    const states = Array.from({ length: this.#states }, (_, i): Tensor => stack(finals.map((f) => f[i]!) as readonly Tensor[], 0))
    return [this.batchFirst ? x.transpose(0, 1) : x, states]
  }

  override macs([x]: readonly Shape[]): number {
    const perStep = this.cells.reduce((sum, { forward, backward }) => sum + forward.stepMacs + (backward?.stepMacs ?? 0), 0)
    return x![0]! * x![1]! * perStep
  }

  override describe(): string {
    const { cells, dropout: p, batchFirst } = this
    const parts = [String(this.inputSize), String(this.hiddenSize)]
    if (cells.length > 1) parts.push(`layers: ${cells.length}`)
    if (cells[0]!.backward) parts.push('bidirectional: true')
    if (p > 0) parts.push(`dropout: ${p}`)
    if (!batchFirst) parts.push('batchFirst: false')
    return parts.join(', ')
  }

  protected override parts(): [name: string, text: string][] {
    return []
  }
}

/** One direction of one layer over `[time, batch, in]`: all inputs' shares of the gates in one product, then step by step. */
function overTime(
  cell: RecurrentCell,
  x: Tensor,
  states: readonly Tensor[],
  options: Pick<RecurrentLayerOptions, 'reverse' | 'lengths'>,
): [output: Tensor, ...states: Tensor[]] {
  const { kind, biasHh } = cell
  return recurrent(cell.fromInput(x), cell.weightHh as Tensor, states, { ...options, cell: kind, bias: biasHh as Tensor | null }) as [
    Tensor,
    ...Tensor[],
  ]
}

/** Elman's recurrent network; see `RNNCell`. */
export class RNN extends Recurrent<RNNCell> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions & { readonly nonlinearity?: RNNNonlinearity } = {}) {
    super(1, (size) => new RNNCell(size, hiddenSize, options), inputSize, hiddenSize, options)
  }

  /** `[batch, time, in]` to outputs `[batch, time, directions * hidden]` and the final state `[layers * directions, batch, hidden]`. */
  forward(x: Tensor, hidden?: Tensor | null, options: SequenceOptions = {}): [output: Tensor, hidden: Tensor] {
    const [output, [last]] = this.run(x, hidden ? [hidden] : undefined, options)
    return [output, last!]
  }
}

/** Long short-term memory; see `LSTMCell`. */
export class LSTM extends Recurrent<LSTMCell> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(2, (size) => new LSTMCell(size, hiddenSize, options), inputSize, hiddenSize, options)
  }

  /** `[batch, time, in]` to outputs `[batch, time, directions * hidden]` and the final states `[layers * directions, batch, hidden]`. */
  forward(
    x: Tensor,
    states?: readonly [hidden: Tensor, cell: Tensor] | null,
    options: SequenceOptions = {},
  ): [output: Tensor, states: [hidden: Tensor, cell: Tensor]] {
    const [output, last] = this.run(x, states ?? undefined, options)
    return [output, last as [Tensor, Tensor]]
  }
}

/** Gated recurrent units; see `GRUCell`. */
export class GRU extends Recurrent<GRUCell> {
  constructor(inputSize: number, hiddenSize: number, options: RecurrentOptions = {}) {
    super(1, (size) => new GRUCell(size, hiddenSize, options), inputSize, hiddenSize, options)
  }

  /** `[batch, time, in]` to outputs `[batch, time, directions * hidden]` and the final state `[layers * directions, batch, hidden]`. */
  forward(x: Tensor, hidden?: Tensor | null, options: SequenceOptions = {}): [output: Tensor, hidden: Tensor] {
    const [output, [last]] = this.run(x, hidden ? [hidden] : undefined, options)
    return [output, last!]
  }
}
