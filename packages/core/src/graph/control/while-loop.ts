import type { Region } from '../../engine/control.ts'
import { CotangentError } from '../../errors.ts'
import { spec as specOf } from '../../layout.ts'
import { modes } from '../../tensor/modes.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Recorder } from '../trace.ts'
import { checkPredicate, cond } from './cond.ts'
import { type Loosely, scan } from './scan.ts'
import { bindControl, checkSame, copyRegion, dense, recording, Subgraph, tensorsOf, withTensors } from './subgraph.ts'

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
  const count = specs.length
  // Nobody kept what a loop was given that runs again, so it must need nothing.
  const packs = recorder.replaying ? [null] : null
  const test = new Subgraph('whileLoop', recorder, (...args) => predicate(condition(withTensors(init, args))), specs, packs)
  const round = new Subgraph('whileLoop', recorder, (...args) => body(withTensors(init, args)), specs, packs)
  checkSame('whileLoop', STATE, init, round.result)
  const sources = [...test.sources, ...round.sources]
  const effect = test.effect || round.effect
  const inputs = [...leaves, ...sources, ...test.captured, ...round.captured]
  const firstTest = count + sources.length
  const firstRound = firstTest + test.captured.length
  const outputs = bindControl('whileLoop', {
    inputs,
    // The state, what takes turns with it, the condition, and numbers that nobody asks for again.
    outputs: [...specs, ...specs, boolSpec, ...test.packSpecs, ...round.packSpecs],
    effect,
    run(engine, from, to) {
      const [last, spare] = [to.slice(0, count), to.slice(count, 2 * count)]
      const holds = to[2 * count]!
      const firstPack = 2 * count + 1
      const packs = [to.slice(firstPack, firstPack + test.packSpecs.length), to.slice(firstPack + test.packSpecs.length)] as const
      const [forTest, forRound] = [from.slice(firstTest, firstRound), from.slice(firstRound)]
      let state: readonly Region[] = from.slice(0, count)
      for (let i = 0; i < most; i++) {
        test.run(engine, [...state, ...forTest], [holds, ...packs[0]])
        if (!engine.readSync(holds.buffer, 'bool', holds.offset, 1)[0]) break
        const target = state === last ? spare : last
        round.run(engine, [...state, ...forRound], [...target, ...packs[1]])
        state = target
      }
      if (state !== last) specs.forEach((spec, i) => copyRegion(engine, spec, state[i]!, last[i]!))
    },
    gradient() {
      throw new CotangentError('no-gradient', {
        op: 'whileLoop',
        message: 'the number of rounds is only known when it runs, so there is no place to keep what the gradient needs',
        hint: 'Give { maxIterations }, or use scan().',
      })
    },
  })
  return withTensors(init, outputs)
}

const boolSpec = specOf('bool', [])

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
