import { isFloat } from '../../dtype.ts'
import type { Region } from '../../engine/control.ts'
import { CotangentError } from '../../errors.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Packs, Recorder } from '../trace.ts'
import { bindControl, checkSame, dense, pullBack, recording, sourcesOf, Subgraph, tensorsOf, withTensors } from './subgraph.ts'

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
  const sources = sourcesOf(yes, no)
  const again = [0, 1].map((i) => tensorsOf(packs?.[i]))
  const inputs = [pred.cast('bool').contiguous(), ...leaves, ...again.flat(), ...sources, ...yes.captured, ...no.captured]
  const firstSource = 1 + leaves.length + again.flat().length
  const slices = [1 + leaves.length, 1 + leaves.length + again[0]!.length]
  const captures = [firstSource + sources.length, firstSource + sources.length + yes.captured.length]
  const results = yes.specs.length
  const outputs = bindControl('cond', {
    inputs,
    outputs: [...yes.specs, ...yes.packSpecs, ...no.packSpecs],
    effect: yes.effect || no.effect,
    run(engine, from, to) {
      const { buffer, offset } = from[0]!
      const taken = engine.readSync(buffer, 'bool', offset, 1)[0] ? 0 : 1
      const own = (first: number, count: number): Region[] => from.slice(first, first + count)
      const branch = subgraphs[taken]!
      const given = [
        ...own(1, leaves.length),
        ...own(slices[taken]!, again[taken]!.length),
        ...own(captures[taken]!, branch.captured.length),
      ]
      const firstPack = results + taken * yes.packSpecs.length
      branch.run(engine, given, [...to.slice(0, results), ...to.slice(firstPack, firstPack + branch.packSpecs.length)])
    },
    gradient(gradients, { inputs: saved, wanted, unused }) {
      const chosen = leaves.map((_, i) => wanted[1 + i]!)
      const towards = sources.filter((_, i) => wanted[firstSource + i])
      const pull = (f: (...args: Tensor[]) => unknown, values: readonly Tensor[], seeds: readonly (Tensor | null)[], own: Packs) =>
        pullBack({ f, values, wanted: chosen, sources: towards, seeds, packs: own })
      const found = cond(
        saved[0]!,
        (values, seeds, [own]) => pull(functions[0]!, values, seeds, own as Packs),
        (values, seeds, [, own]) => pull(functions[1]!, values, seeds, own as Packs),
        saved.slice(1, 1 + leaves.length) as Tensor[],
        gradients.slice(0, results).map((g, i) => (isFloat(g.dtype) && !unused?.[i] ? g : null)),
        given,
      )
      let [value, source] = [0, 0]
      return inputs.map((_, i) => {
        if (!wanted[i]) return null
        return i < firstSource ? found.values[value++]! : found.sources[source++]!
      })
    },
  })
  const split = results + yes.packSpecs.length
  const given: Packs = packs ?? [yes.packs(outputs.slice(results, split)), no.packs(outputs.slice(split))]
  if (!packs) recorder.packs.push(given)
  return withTensors(yes.result, outputs) as R
}
