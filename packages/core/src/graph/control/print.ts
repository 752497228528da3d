import { userLine } from '../../autograd/anomaly.ts'
import type { ControlOperand, Region } from '../../engine/control.ts'
import type { Engine } from '../../engine/engine.ts'
import { CotangentError } from '../../errors.ts'
import { spec as specOf } from '../../layout.ts'
import { noGrad } from '../../tensor/modes.ts'
import { Storage } from '../../tensor/storage.ts'
import { Tensor } from '../../tensor/tensor.ts'
import { Flow, type FlowData, isTrue } from './flow.ts'
import { bindControl, dense, operandsOf, recording } from './subgraph.ts'

/**
 * Prints a text on the console, with values in the places of `{}` (those that are left over come behind it). In a compiled
 * function, where `console.log` would print once, while it is traced, this prints on each run, in the order in which it was called.
 *
 *     print('loss {}, largest weight {}', loss, w.abs().max())
 */
export function print(text: string, ...values: readonly (Tensor | number | boolean | string)[]): void {
  const recorder = recording()
  if (!recorder) return write(text, values)
  // Where a function runs again for its gradient, all has been said.
  if (recorder.replaying) return
  const inputs = dense(values.filter((x) => x instanceof Tensor))
  const shown = values.map((x) => (x instanceof Tensor ? null : x))
  bindControl(new Printing({ inputs: operandsOf(inputs), outputs: [], effect: true, text, values: shown }, []), inputs)
}

interface PrintingData extends FlowData {
  readonly text: string
  /** Null: the next input. */
  readonly values: readonly (number | boolean | string | null)[]
}

class Printing extends Flow<PrintingData> {
  readonly name = 'print'

  with(data: PrintingData): Printing {
    return new Printing(data, [])
  }

  surelyWrites(): boolean {
    return true
  }

  protected perform(engine: Engine, from: readonly Region[]): void {
    const found = this.inputs.map((x, i) => readBack(engine, x, from[i]!))
    let next = 0
    write(
      this.data.text,
      this.data.values.map((x) => x ?? found[next++]!),
    )
    for (const x of found) x.dispose()
  }
}

function write(text: string, values: readonly unknown[]): void {
  const left = [...values]
  const filled = text.replaceAll('{}', (place) => (left.length > 0 ? showing(left.shift()) : place))
  // oxlint-disable-next-line no-console -- what it is for
  console.log([filled, ...left.map(showing)].join(' '))
}

const showing = (x: unknown): string => String(x instanceof Tensor ? x.detach() : x)

function readBack(engine: Engine, { dtype, shape }: ControlOperand, { buffer, offset }: Region): Tensor {
  const spec = specOf(dtype, shape)
  const storage = new Storage(engine, spec, 'print')
  if (spec.size > 0) engine.write(storage.buffer, dtype, 0, engine.readSync(buffer, dtype, offset, spec.size))
  return new Tensor(spec, storage, 0)
}

/**
 * Throws unless all elements of `condition` are true: on each run, in a compiled function, where what comes behind the check may
 * have happened already.
 *
 * @throws {CotangentError} `check-failed`, with the message and the line that called `check`.
 */
export function check(condition: Tensor | boolean, message: string): void {
  const { stack } = new Error()
  if (typeof condition === 'boolean') {
    if (!condition) fail(message, userLine(stack))
    return
  }
  const recorder = recording()
  if (recorder?.replaying) return
  const all = noGrad(() => condition.cast('bool').all())
  if (!recorder) {
    if (!all.item()) fail(message, userLine(stack))
    return
  }
  bindControl(new Check({ inputs: operandsOf([all]), outputs: [], effect: true, message, at: userLine(stack) }, []), [all])
}

function fail(message: string, at: string): never {
  throw new CotangentError('check-failed', { op: 'check', message: `${message}; checked at ${at}` })
}

interface CheckData extends FlowData {
  readonly message: string
  /** The line that called it. */
  readonly at: string
}

/** Throws where its input does not hold. */
export class Check extends Flow<CheckData> {
  readonly name = 'check'

  with(data: CheckData): Check {
    return new Check(data, [])
  }

  surelyWrites(): boolean {
    return true
  }

  protected perform(engine: Engine, [holds]: readonly Region[]): void {
    if (!isTrue(engine, holds!)) fail(this.data.message, this.data.at)
  }
}
