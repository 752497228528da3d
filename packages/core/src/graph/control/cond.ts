import { CotangentError } from '../../errors.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Packs, Recorder } from '../trace.ts'
import { Choice } from './choice.ts'
import { Operands } from './operands.ts'
import {
  bindControl,
  checkSame,
  dense,
  isDifferentiated,
  operandsOf,
  outsideOf,
  placesOf,
  pullBack,
  recording,
  seedsOf,
  Subgraph,
  tensorsOf,
  valuesBefore,
  withTensors,
  writeBack,
} from './subgraph.ts'

/**
 * `onTrue(...operands)` if `pred` is true, else `onFalse(...operands)`. In a compiled function both are part of the program and
 * one of them runs, as the predicate has it on each run; what they use from outside (parameters) is found by itself. Otherwise
 * it is a plain JavaScript choice.
 *
 * Gradients of any order go through it: that of the branch that ran, which is computed anew for it.
 *
 * @param pred A tensor of one element, or a boolean, which is decided while a function is traced.
 * @param onTrue Must return the same structure, shapes and dtypes as `onFalse`.
 */
export function cond<A extends readonly unknown[], R>(
  pred: Tensor | boolean,
  onTrue: (...operands: A) => R,
  onFalse: (...operands: A) => R,
  ...operands: A
): R {
  const recorder = recording()
  if (typeof pred === 'boolean') return (pred ? onTrue : onFalse)(...operands)
  checkPredicate('cond', pred)
  if (!recorder) return (pred.item() ? onTrue : onFalse)(...operands)
  return traced(recorder, pred, [inAutocastOfNow(onTrue), inAutocastOfNow(onFalse)], operands)
}

export function checkPredicate(op: string, pred: Tensor): void {
  if (pred.size === 1) return
  throw new CotangentError('shape-mismatch', {
    op,
    message: 'the condition must be one element',
    shapes: [pred.shape],
    hint: 'Reduce it with all() or any(), or choose element by element with where().',
  })
}

function traced<A extends readonly unknown[], R>(
  recorder: Recorder,
  pred: Tensor,
  branches: readonly ((...operands: A) => R)[],
  operands: A,
): R {
  const leaves = dense(tensorsOf(operands))
  const packs = recorder.nextPacks()
  const functions = branches.map(
    (f) =>
      (...args: Tensor[]) =>
        f(...withTensors(operands, args)),
  )
  const specs = leaves.map((x) => x.spec)
  const subgraphs = functions.map((f, i) => new Subgraph('cond', recorder, f, specs, packs && ((packs[i] ?? [null]) as Packs)))
  const [yes, no] = subgraphs as [Subgraph, Subgraph]
  checkSame('cond', 'the results of the branches', yes.result, no.result)
  const [yesAgain, noAgain] = [0, 1].map((i) => tensorsOf(packs?.[i])) as [Tensor[], Tensor[]]
  const { written, captured, sources } = outsideOf('cond', subgraphs, tensorsOf(operands))
  const differs = isDifferentiated([...leaves, ...yesAgain, ...noAgain, ...sources, ...written, ...captured])
  const inputs = new Operands({
    pred: [pred.cast('bool').contiguous()],
    leaves,
    yesAgain,
    noAgain,
    sources,
    before: valuesBefore(written, differs),
    captured,
  })
  const outputs = new Operands({
    results: yes.specs,
    yesPacks: yes.packSpecs,
    noPacks: no.packSpecs,
    after: written.map((x) => x.spec),
  })
  const outside = placesOf([...written, ...captured], inputs.positions('before', 'captured'))
  const after = placesOf(written, outputs.positions('after'))
  const wired = subgraphs.map((branch) => {
    const untouched = written.filter((x) => !branch.written.some(({ memory }) => memory === x.memory))
    return {
      ...branch.wiring({
        args: inputs.positions('leaves', branch === yes ? 'yesAgain' : 'noAgain'),
        captured: outside,
        results: outputs.positions('results'),
        packs: outputs.positions(branch === yes ? 'yesPacks' : 'noPacks'),
        written: after,
      }),
      copies: untouched.map((x): [number, number] => [outside(x), after(x)]),
    }
  })
  const flow = new Choice(
    { inputs: operandsOf(inputs.all), outputs: operandsOf(outputs.all), effect: yes.effect || no.effect, branches: wired },
    subgraphs.map(({ body }) => body),
  )
  const made = bindControl(flow, inputs.all, (gradients, { inputs: saved, wanted, unused }) => {
    const values = saved as readonly Tensor[]
    const towards = inputs.of('sources', wanted)
    const pull = (
      f: (...args: Tensor[]) => unknown,
      values: readonly Tensor[],
      seeds: readonly (Tensor | null)[],
      own: Packs,
      before: readonly Tensor[],
    ) => {
      const past = written.map((memory, i) => ({ memory, value: before[i]! }))
      const chosen = inputs.of('leaves', wanted)
      return pullBack({ f, values, wanted: chosen, sources: sources.filter((_, i) => towards[i]), seeds, packs: own, past })
    }
    const found = cond(
      values[0]!,
      (values, seeds, [own], before) => pull(functions[0]!, values, seeds, own as Packs, before),
      (values, seeds, [, own], before) => pull(functions[1]!, values, seeds, own as Packs, before),
      inputs.of('leaves', values),
      seedsOf(outputs.positions('results'), gradients, unused),
      ownPacks,
      inputs.of('before', values),
    )
    return inputs.spread({ leaves: found.values, sources: found.sources }, wanted)
  })
  writeBack(written, outputs.of('after', made))
  const ownPacks: Packs = packs ?? [yes.packs(outputs.of('yesPacks', made)), no.packs(outputs.of('noPacks', made))]
  if (!packs) recorder.packs.push(ownPacks)
  return withTensors(yes.result, made) as R
}
