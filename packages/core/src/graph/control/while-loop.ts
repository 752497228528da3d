import { CotangentError } from '../../errors.ts'
import { spec as specOf } from '../../layout.ts'
import { modes } from '../../tensor/modes.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Recorder } from '../trace.ts'
import { checkPredicate, cond } from './cond.ts'
import { Operands } from './operands.ts'
import { Repetition } from './repetition.ts'
import { type Loosely, scan } from './scan.ts'
import {
  bindControl,
  checkSame,
  dense,
  isDifferentiated,
  operandsOf,
  outsideOf,
  placesOf,
  recording,
  Subgraph,
  tensorsOf,
  valuesBefore,
  withTensors,
  writeBack,
} from './subgraph.ts'

/** Bounds of a loop. */
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
  if (test.written.length > 0) {
    throw new CotangentError('modified-in-place', {
      op: 'whileLoop',
      message: 'the condition writes in place to a tensor from outside',
      hint: 'Write in the body.',
    })
  }
  const { written, captured, sources } = outsideOf('whileLoop', [test, round], tensorsOf(init))
  // What a round writes goes from round to round as the state does.
  const before = valuesBefore(written, isDifferentiated([...leaves, ...sources]))
  const inputs = new Operands({ state: leaves, before, sources, captured })
  const beforeSpecs = before.map((x) => x.spec)
  const outputs = new Operands({
    state: specs,
    after: beforeSpecs,
    spare: [...specs, ...beforeSpecs],
    holds: [boolSpec],
    testPacks: test.packSpecs,
    packs: round.packSpecs,
  })
  const wiringOf = (body: Subgraph, results: 'holds' | 'state', packs: 'testPacks' | 'packs') =>
    body.wiring({
      args: inputs.positions('state'),
      captured: placesOf([...written, ...captured], inputs.positions('before', 'captured')),
      results: outputs.positions(results),
      packs: outputs.positions(packs),
      written: placesOf(written, outputs.positions('after')),
    })
  const flow = new Repetition(
    {
      inputs: operandsOf(inputs.all),
      outputs: operandsOf(outputs.all),
      effect: test.effect || round.effect,
      state: leaves.length + before.length,
      most,
      test: wiringOf(test, 'holds', 'testPacks'),
      round: wiringOf(round, 'state', 'packs'),
    },
    [test.body, round.body],
  )
  const made = bindControl(flow, inputs.all, () => {
    throw new CotangentError('no-gradient', {
      op: 'whileLoop',
      message: 'the number of rounds is only known when it runs, so there is no place to keep what the gradient needs',
      hint: 'Give { maxIterations }, or use scan().',
    })
  })
  writeBack(written, outputs.of('after', made))
  return withTensors(init, made)
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
