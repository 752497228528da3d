import { isFloat } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import type { Packs, Recorder } from '../trace.ts'
import { Choice } from './choice.ts'
import {
  bindControl,
  checkSame,
  checkWritten,
  dense,
  isDifferentiated,
  Operands,
  operandsOf,
  positions,
  pullBack,
  recording,
  sourcesOf,
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
  const again = [0, 1].map((i) => tensorsOf(packs?.[i]))
  const sources = sourcesOf(yes, no)
  const given = [pred.cast('bool').contiguous(), ...leaves, ...again.flat(), ...sources]
  const written = new Operands(given.length, [...yes.written, ...no.written])
  checkWritten('cond', written.tensors, tensorsOf(operands))
  const differs = isDifferentiated([...given, ...yes.captured, ...no.captured])
  const captured = new Operands(
    given.length + written.tensors.length,
    subgraphs.flatMap((branch) => branch.captured).filter((x) => !written.has(x)),
  )
  const inputs = [...given, ...valuesBefore(written.tensors, differs), ...captured.tensors]
  const firstSource = given.length - sources.length
  const results = yes.specs.length
  const firstPacks = [results, results + yes.packSpecs.length]
  const firstWritten = firstPacks[1]! + no.packSpecs.length
  const afterOf = (x: Tensor) => firstWritten + written.at(x) - given.length
  const wired = subgraphs.map((branch, i) => {
    const firstAgain = 1 + leaves.length + (i === 0 ? 0 : again[0]!.length)
    const untouched = written.tensors.filter((x) => !branch.written.some(({ memory }) => memory === x.memory))
    return {
      ...branch.wiring({
        args: [...positions(1, leaves.length), ...positions(firstAgain, again[i]!.length)],
        captured: (x) => (written.has(x) ? written : captured).at(x),
        results: positions(0, results),
        packs: positions(firstPacks[i]!, branch.packSpecs.length),
        written: afterOf,
      }),
      copies: untouched.map((x): [number, number] => [written.at(x), afterOf(x)]),
    }
  })
  const flow = new Choice(
    {
      inputs: operandsOf(inputs),
      outputs: operandsOf([...yes.specs, ...yes.packSpecs, ...no.packSpecs, ...written.tensors]),
      effect: yes.effect || no.effect,
      branches: wired,
    },
    subgraphs.map(({ body }) => body),
  )
  const outputs = bindControl(flow, inputs, (gradients, { inputs: saved, wanted, unused }) => {
    const chosen = leaves.map((_, i) => wanted[1 + i]!)
    const towards = sources.filter((_, i) => wanted[firstSource + i])
    const pull = (
      f: (...args: Tensor[]) => unknown,
      values: readonly Tensor[],
      seeds: readonly (Tensor | null)[],
      own: Packs,
      before: readonly Tensor[],
    ) => {
      const past = written.tensors.map((memory, i) => ({ memory, value: before[i]! }))
      return pullBack({ f, values, wanted: chosen, sources: towards, seeds, packs: own, past })
    }
    const found = cond(
      saved[0]!,
      (values, seeds, [own], before) => pull(functions[0]!, values, seeds, own as Packs, before),
      (values, seeds, [, own], before) => pull(functions[1]!, values, seeds, own as Packs, before),
      saved.slice(1, 1 + leaves.length) as Tensor[],
      gradients.slice(0, results).map((g, i) => (isFloat(g.dtype) && !unused?.[i] ? g : null)),
      ownPacks,
      saved.slice(given.length, given.length + written.tensors.length) as Tensor[],
    )
    let [value, source] = [0, 0]
    return inputs.map((_, i) => {
      if (!wanted[i] || i >= given.length) return null
      return i < firstSource ? found.values[value++]! : found.sources[source++]!
    })
  })
  writeBack(written.tensors, outputs.slice(firstWritten))
  const [first, second] = firstPacks as [number, number]
  const ownPacks: Packs = packs ?? [yes.packs(outputs.slice(first, second)), no.packs(outputs.slice(second, firstWritten))]
  if (!packs) recorder.packs.push(ownPacks)
  return withTensors(yes.result, outputs) as R
}
