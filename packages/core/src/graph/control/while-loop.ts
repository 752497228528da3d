import { CotangentError } from '../../errors.ts'
import { spec as specOf } from '../../layout.ts'
import { modes } from '../../tensor/modes.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Recorder } from '../trace.ts'
import { checkPredicate, cond } from './cond.ts'
import { Repetition } from './repetition.ts'
import { type Loosely, scan } from './scan.ts'
import {
  bindControl,
  checkSame,
  checkWritten,
  dense,
  isDifferentiated,
  Operands,
  operandsOf,
  positions,
  recording,
  Subgraph,
  tensorsOf,
  valuesBefore,
  withTensors,
  writeBack,
} from './subgraph.ts'

export interface WhileLoopOptions {
  /** Ends the loop after so many rounds at the latest. Where it is known, gradients go through the compiled loop. */
  readonly maxIterations?: number
}

const STATE = 'the states before and after a round'

/**
 * `state = body(state)` as long as `condition(state)` holds, from `init` on; gives the last state. In a compiled function the loop
 * is part of the program, and takes as many rounds as each run needs. Otherwise it is a plain JavaScript loop.
 *
 * The gradient of a compiled loop needs `maxIterations`: it takes that many rounds then, the last ones without work, and keeps the
 * state of each.
 *
 * @param body Must keep the state's structure, shapes and dtypes.
 */
export function whileLoop<C>(
  condition: (state: Loosely<C>) => Tensor | boolean,
  body: (state: Loosely<C>) => Loosely<C>,
  init: C,
  { maxIterations = Number.POSITIVE_INFINITY }: WhileLoopOptions = {},
): Loosely<C> {
  const start = init as Loosely<C>
  const recorder = recording()
  if (!recorder) return atOnce(condition, body, start, maxIterations)
  if (modes.grad && Number.isFinite(maxIterations)) {
    const round = (state: Loosely<C>) => cond(condition(state), body, (same) => same, state)
    return scan((state) => [round(state as Loosely<C>) as never, null], start, null, { length: maxIterations })[0] as Loosely<C>
  }
  return traced<Loosely<C>>(recorder, condition, body, start, maxIterations)
}

function atOnce<C>(condition: (state: C) => Tensor | boolean, body: (state: C) => C, init: C, most: number): C {
  let state = init
  for (let round = 0; round < most; round++) {
    const holds = condition(state)
    if (typeof holds !== 'boolean') checkPredicate('whileLoop', holds)
    if (!(typeof holds === 'boolean' ? holds : holds.item())) break
    const before = state
    state = body(before)
    if (round === 0) checkSame('whileLoop', STATE, before, state)
  }
  return state
}

function traced<C>(recorder: Recorder, condition: (state: C) => Tensor | boolean, body: (state: C) => C, init: C, most: number): C {
  const leaves = dense(tensorsOf(init))
  const specs = leaves.map((x) => x.spec)
  // Nobody kept what a loop was given that runs again, so it must need nothing.
  const packs = recorder.replaying ? [null] : null
  const test = new Subgraph('whileLoop', recorder, (...args) => predicate(condition(withTensors(init, args))), specs, packs)
  const round = new Subgraph('whileLoop', recorder, (...args) => body(withTensors(init, args)), specs, packs)
  checkSame('whileLoop', STATE, init, round.result)
  const sources = [...test.sources, ...round.sources]
  if (test.written.length > 0) {
    throw new CotangentError('modified-in-place', {
      op: 'whileLoop',
      message: 'the condition writes in place to a tensor from outside',
      hint: 'Write in the body.',
    })
  }
  const { written } = round
  checkWritten('whileLoop', written, tensorsOf(init))
  // What a round writes goes from round to round as the state does.
  const state = [...leaves, ...valuesBefore(written, isDifferentiated([...leaves, ...sources]))]
  const count = state.length
  const overwritten = new Operands(leaves.length, written)
  const captured = new Operands(
    count + sources.length,
    [...test.captured, ...round.captured].filter((x) => !overwritten.has(x)),
  )
  const inputs = [...state, ...sources, ...captured.tensors]
  const wiringOf = (body: Subgraph, results: readonly number[], firstPack: number) =>
    body.wiring({
      args: positions(0, leaves.length),
      captured: (x) => (overwritten.has(x) ? overwritten : captured).at(x),
      results,
      packs: positions(firstPack, body.packSpecs.length),
      written: (x) => overwritten.at(x),
    })
  const stateSpecs = state.map((x) => x.spec)
  const firstPack = 2 * count + 1
  const flow = new Repetition(
    {
      inputs: operandsOf(inputs),
      outputs: operandsOf([...stateSpecs, ...stateSpecs, boolSpec, ...test.packSpecs, ...round.packSpecs]),
      effect: test.effect || round.effect,
      state: count,
      most,
      test: wiringOf(test, [2 * count], firstPack),
      round: wiringOf(round, positions(0, leaves.length), firstPack + test.packSpecs.length),
    },
    [test.body, round.body],
  )
  const outputs = bindControl(flow, inputs, () => {
    throw new CotangentError('no-gradient', {
      op: 'whileLoop',
      message: 'the number of rounds is only known when it runs, so there is no place to keep what the gradient needs',
      hint: 'Give { maxIterations }, or use scan().',
    })
  })
  writeBack(written, outputs.slice(leaves.length, count))
  return withTensors(init, outputs)
}

const boolSpec = /* @__PURE__ */ specOf('bool', [])

function predicate(holds: Tensor | boolean): Tensor {
  if (typeof holds !== 'boolean') {
    checkPredicate('whileLoop', holds)
    return holds.cast('bool').reshape([])
  }
  throw new CotangentError('invalid-argument', {
    op: 'whileLoop',
    message: `the condition is ${holds} whatever the state`,
    hint: 'Compute it from the state: (state) => state.n.lt(10).',
  })
}
