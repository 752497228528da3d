import type { ControlOperand } from '../engine/control.ts'
import { CotangentError } from '../errors.ts'
import { Choice } from '../graph/control/choice.ts'
import { type Body, Flow, type FlowData, type Wiring } from '../graph/control/flow.ts'
import { Check } from '../graph/control/print.ts'
import { Repetition } from '../graph/control/repetition.ts'
import { Rounds } from '../graph/control/rounds.ts'
import { sizeOf } from '../layout.ts'
import type { Field } from './field.ts'
import { type BodyFile, type FlowFile, limits, numberToFile } from './format.ts'

/** @param bodyToFile Writes what the flow runs. */
export function flowToFile(flow: unknown, bodyToFile: (body: Body) => BodyFile): FlowFile {
  const coded = (data: object): FlowFile => {
    const { name, inputs, outputs, bodies } = flow as Flow
    return { flow: name, data: { inputs, outputs, ...data }, bodies: bodies.map(bodyToFile) }
  }
  if (flow instanceof Choice) return coded({ branches: flow.data.branches })
  if (flow instanceof Repetition) {
    const { state, most, test, round } = flow.data
    return coded({ state, most: numberToFile(most), test, round })
  }
  if (flow instanceof Rounds) {
    const { carries, items, length, reverse, keeps, wiring } = flow.data
    return coded({ carries, items, length, reverse, keeps, wiring })
  }
  if (flow instanceof Check) return coded({ message: flow.data.message.slice(0, limits.text) })
  throw new CotangentError('unsupported', {
    op: 'exportProgram',
    message: 'the function prints on every run, which programs from files do not',
    hint: 'Leave print() out of it, or return the values.',
  })
}

const flows = ['cond', 'scan', 'whileLoop', 'check'] as const

/** A flow whose operands fit its bodies, so that a body reads and writes nothing but what the flow gives it. */
export function flowFromFile(field: Field, bodyFromFile: (body: Field) => Body): Flow {
  const parts = field.object(['flow', 'data', 'bodies'])
  const name = parts.flow.oneOf(flows)
  const bodies = parts.bodies.list(2).map(bodyFromFile)
  const reader = new FlowReader(parts.data, bodies)
  const flow = reader[name]()
  return flow
}

/** How many elements a body sees of an operand; undefined where it does not see it. */
type Seen = (operand: ControlOperand, at: number) => number | undefined

class FlowReader {
  readonly #data: Field
  readonly #bodies: readonly Body[]

  constructor(data: Field, bodies: readonly Body[]) {
    this.#data = data
    this.#bodies = bodies
  }

  cond(): Flow {
    const parts = this.#data.object(['inputs', 'outputs', 'branches'])
    const data = this.#operands(parts, 2)
    this.#checkBool(data.inputs[0])
    const branches = parts.branches.list(2, 2).map((one, i) => {
      const { copies, ...rest } = one.object(['inputs', 'outputs', 'copies'])
      const wiring = this.#wiring(one, rest, i, data, whole, whole)
      const pairs = copies.list(limits.values).map((pair) => {
        const [from, to] = pair.list(2, 2)
        const [input, output] = [from!.integer(0, data.inputs.length - 1), to!.integer(0, data.outputs.length - 1)]
        pair.check(sameKind(data.inputs[input]!, data.outputs[output]!), 'copies another kind of operand')
        return [input, output] as const
      })
      const written = [...wiring.outputs, ...pairs.map(([, to]) => to)]
      one.check(new Set(written).size === written.length, 'writes an output twice')
      return { ...wiring, copies: pairs }
    })
    return new Choice({ ...data, branches }, this.#bodies)
  }

  scan(): Flow {
    const parts = this.#data.object(['inputs', 'outputs', 'carries', 'items', 'length', 'reverse', 'keeps', 'wiring'])
    const data = this.#operands(parts, 1)
    const { inputs, outputs } = data
    const carries = parts.carries.integer(0, Math.min(inputs.length, Math.floor(outputs.length / 2)))
    const items = parts.items.integer(0, inputs.length - carries)
    const length = parts.length.integer(0, 2 ** 31 - 1)
    const [reverse, keeps] = [parts.reverse.boolean(), parts.keeps.boolean()]
    const rows = outputs.length - 2 * carries
    const isStacked = ({ shape }: ControlOperand) => shape[0] === length
    for (let i = 0; i < carries; i++) {
      const spare = outputs[carries + rows + i]!
      const wanted = sizeOf(inputs[i]!.shape) * (keeps ? length : 1)
      this.#data.check(sameKind(inputs[i]!, outputs[i]!), 'has a carry that changes')
      this.#data.check(spare.dtype === inputs[i]!.dtype && sizeOf(spare.shape) === wanted, 'has too little memory for carries')
    }
    const stacked = [...inputs.slice(carries, carries + items), ...outputs.slice(carries, carries + rows)]
    this.#data.check(stacked.every(isStacked), 'has items or results of another length')
    const row = ({ shape }: ControlOperand) => sizeOf(shape.slice(1))
    const wiring = this.#wiring(
      parts.wiring,
      parts.wiring.object(['inputs', 'outputs']),
      0,
      data,
      (operand, at) => (at >= carries && at < carries + items ? row(operand) : sizeOf(operand.shape)),
      (operand, at) => (at < carries ? sizeOf(operand.shape) : at < carries + rows ? row(operand) : undefined),
    )
    parts.wiring.check(wiring.outputs.length === carries + rows, 'leaves out a carry or a result')
    return new Rounds({ ...data, carries, items, length, reverse, keeps, wiring }, this.#bodies)
  }

  whileLoop(): Flow {
    const parts = this.#data.object(['inputs', 'outputs', 'state', 'most', 'test', 'round'])
    const data = this.#operands(parts, 2)
    const { inputs, outputs } = data
    const state = parts.state.integer(0, Math.min(inputs.length, Math.floor((outputs.length - 1) / 2)))
    const most = Number(parts.most.number())
    parts.most.check(most === Infinity || (Number.isSafeInteger(most) && most >= 0), 'is no number of rounds')
    for (let i = 0; i < state; i++)
      this.#data.check(sameKind(inputs[i]!, outputs[i]!) && sameKind(inputs[i]!, outputs[state + i]!), 'has a state that changes')
    this.#checkBool(outputs[2 * state])
    const own =
      (kind: (at: number) => boolean): Seen =>
      (operand, at) =>
        kind(at) ? sizeOf(operand.shape) : undefined
    const [asked, moved] = [parts.test, parts.round]
    const fields = ['inputs', 'outputs'] as const
    const test = this.#wiring(
      asked,
      asked.object(fields),
      0,
      data,
      whole,
      own((at) => at >= 2 * state),
    )
    asked.check(test.outputs.includes(2 * state), 'does not tell whether to go on')
    const round = this.#wiring(
      moved,
      moved.object(fields),
      1,
      data,
      whole,
      own((at) => at < state || at > 2 * state),
    )
    moved.check(round.outputs.filter((at) => at < state).length === state, 'leaves out a part of the state')
    return new Repetition({ ...data, state, most, test, round }, this.#bodies)
  }

  check(): Flow {
    const parts = this.#data.object(['inputs', 'outputs', 'message'])
    const data = this.#operands(parts, 0)
    this.#checkBool(data.inputs[0])
    this.#data.check(data.inputs.length === 1 && data.outputs.length === 0, 'has other operands than a condition')
    return new Check({ ...data, effect: true, message: parts.message.text(), at: 'a program from a file' }, [])
  }

  #operands(parts: { readonly inputs: Field; readonly outputs: Field }, bodies: number): FlowData {
    this.#data.check(this.#bodies.length === bodies, 'belongs to another number of bodies')
    const operands = (list: Field) =>
      list.list(limits.values).map((one): ControlOperand => {
        const { dtype, shape } = one.object(['dtype', 'shape'])
        return { dtype: dtype.dtype(), shape: shape.shape() }
      })
    return { inputs: operands(parts.inputs), outputs: operands(parts.outputs), effect: this.#bodies.some(hasEffect) }
  }

  #checkBool(operand: ControlOperand | undefined): void {
    this.#data.check(operand?.dtype === 'bool' && sizeOf(operand.shape) === 1, 'has a condition that is no bool')
  }

  /** What a body works on, of the kinds and sizes that it was made for. */
  #wiring(
    field: Field,
    parts: { readonly inputs: Field; readonly outputs: Field },
    at: number,
    { inputs, outputs }: FlowData,
    read: Seen,
    written: Seen,
  ): Wiring {
    const { program, numbers } = this.#bodies[at]!
    const made = [...program.graph.outputs.map(({ spec }) => spec), ...(numbers > 0 ? [{ dtype: 'int32', size: 2 * numbers }] : [])]
    const places = (list: Field, operands: readonly ControlOperand[], specs: readonly { dtype: string; size: number }[], seen: Seen) =>
      list.list(specs.length, specs.length).map((place, i) => {
        const found = place.integer(0, operands.length - 1)
        const fits = operands[found]!.dtype === specs[i]!.dtype && seen(operands[found]!, found) === specs[i]!.size
        place.check(fits, 'is not what the body works on')
        return found
      })
    const given = program.graph.inputs.map(({ spec }) => spec)
    const wiring = { inputs: places(parts.inputs, inputs, given, read), outputs: places(parts.outputs, outputs, made, written) }
    field.check(new Set(wiring.outputs).size === wiring.outputs.length, 'writes an output twice')
    return wiring
  }
}

const whole: Seen = ({ shape }) => sizeOf(shape)

const sameKind = (a: ControlOperand, b: ControlOperand): boolean => a.dtype === b.dtype && sizeOf(a.shape) === sizeOf(b.shape)

const hasEffect = ({ program: { graph, operations } }: Body): boolean =>
  graph.host.some(({ kind }) => kind !== 'given') || operations.some(({ program }) => program instanceof Flow && program.effect)
