import { isFloat } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import { zeros } from '../../op/creation.ts'
import { stack } from '../../op/join.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { mapTree } from '../../tree.ts'
import { isTensor, type Packs, type Recorder, trace } from '../trace.ts'
import { Rounds } from './rounds.ts'
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
  rowOf,
  rowsOf,
  sourcesOf,
  Subgraph,
  tensorsOf,
  valuesBefore,
  withTensors,
  writeBack,
} from './subgraph.ts'

/** A tree of tensors of the same structure, of any shapes. */
export type Loosely<T> = T extends Tensor ? Tensor : T extends object ? { [K in keyof T]: Loosely<T[K]> } : T

/** The direction of `scan`, and its number of rounds where no items say it. */
export interface ScanOptions {
  /** Goes from the last item to the first; results keep their places. */
  readonly reverse?: boolean
  /** How many rounds, where `xs` does not say it. */
  readonly length?: number
}

type Step<C, X, Y> = (carry: Loosely<C>, x: Loosely<X>) => readonly [carry: Loosely<C>, y: Y]

/**
 * A loop over the first axis: `[carry, y] = f(carry, x)` for each item `x` of `xs`. Gives the last carry and all `y`, stacked
 * along a new first axis. As JAX's `lax.scan`: in a compiled function `f` is traced once, however many rounds there are, and
 * items are read and written where they lie. Otherwise it is a plain JavaScript loop.
 *
 *     const [h, outputs] = scan((h, x) => { const next = cell(h, x); return [next, next] }, zeros([batch, size]), xs)
 *
 * Gradients of any order go through it, to what `f` uses from outside, too. For them the carries of all rounds are kept, and the
 * rest of each round is computed anew. Random numbers are new in each round.
 *
 * @param xs Tensors with the same first size, in any tree; null if there are none (then give `length`).
 */
export function scan<C, X, Y>(f: Step<C, X, Y>, init: C, xs: X, options: ScanOptions = {}): [carry: Loosely<C>, ys: Loosely<Y>] {
  const length = lengthOf(tensorsOf(xs), options.length)
  const recorder = recording()
  if (recorder) return traced(recorder, inAutocastOfNow(f), { init, xs, length, reverse: options.reverse ?? false })
  return atOnce(f, { init, xs, length, reverse: options.reverse ?? false })
}

interface Scan<C, X> {
  readonly init: C
  readonly xs: X
  readonly length: number
  readonly reverse: boolean
}

function lengthOf(xs: readonly Tensor[], wanted: number | undefined): number {
  const found = new Set(xs.map(({ shape }) => shape[0]))
  if (wanted !== undefined) found.add(wanted)
  const [length] = found
  if (found.size === 1 && length !== undefined && Number.isInteger(length) && length >= 0) return length
  throw new CotangentError(xs.length === 0 ? 'invalid-argument' : 'shape-mismatch', {
    op: 'scan',
    message: found.size === 0 ? 'there is nothing to go over' : `the first sizes and the length differ: ${[...found].join(', ')}`,
    shapes: xs.map(({ shape }) => shape),
    hint: 'Give xs with one first size, or { length }, a whole number.',
  })
}

const CARRY = 'the carries before and after a round'

function atOnce<C, X, Y>(f: Step<C, X, Y>, { init, xs, length, reverse }: Scan<C, X>): [Loosely<C>, Loosely<Y>] {
  let carry = init as Loosely<C>
  const rows = new Array<Y>(length)
  const itemOf = (tree: unknown, at: number) => mapTree(tree, isTensor, (x) => x.select(0, at))
  for (let round = 0; round < length; round++) {
    const at = reverse ? length - 1 - round : round
    const before = carry
    const [after, y] = f(before, itemOf(xs, at) as Loosely<X>)
    carry = after
    rows[at] = y
    if (round === 0) checkSame('scan', CARRY, before, carry)
  }
  return [carry, length > 0 ? stackTrees(rows) : nothing(f, init, xs)] as [Loosely<C>, Loosely<Y>]
}

function stackTrees(rows: readonly unknown[]): unknown {
  const leaves = rows.map(tensorsOf)
  let at = 0
  return mapTree(rows[0], isTensor, () => {
    const column = leaves.map((row) => row[at]!)
    at++
    return stack(column)
  })
}

/** What no rounds give: the function tells shapes without being run. */
function nothing<C, X, Y>(f: Step<C, X, Y>, init: C, xs: X): unknown {
  const carry = tensorsOf(init)
  const specs = [...carry.map((x) => x.spec), ...tensorsOf(xs).map((x) => rowOf(x.spec))]
  const { result } = trace(
    (...args) => f(withTensors(init, args) as Loosely<C>, withTensors(xs, args.slice(carry.length)) as Loosely<X>)[1],
    specs.map((spec) => ({ spec, requiresGrad: false })),
  )
  return mapTree(result, isTensor, ({ dtype, shape }) => zeros([0, ...shape], { dtype }))
}

function traced<C, X, Y>(recorder: Recorder, f: Step<C, X, Y>, { init, xs, length, reverse }: Scan<C, X>): [Loosely<C>, Loosely<Y>] {
  const carry = dense(tensorsOf(init))
  const items = dense(tensorsOf(xs))
  const packs = recorder.nextPacks()
  const again = tensorsOf(packs)
  const body = (...args: Tensor[]) => f(withTensors(init, args) as Loosely<C>, withTensors(xs, args.slice(carry.length)) as Loosely<X>)
  const specs = [...carry.map((x) => x.spec), ...items.map((x) => rowOf(x.spec))]
  const subgraph = new Subgraph('scan', recorder, body, specs, packs, rowOf)
  const [after, y] = subgraph.result as readonly [unknown, Y]
  checkSame('scan', CARRY, init, after)
  const { packSpecs, written } = subgraph
  checkWritten('scan', written, tensorsOf([init, xs]))
  const sources = sourcesOf(subgraph)
  const keeps = isDifferentiated([...carry, ...items, ...sources, ...subgraph.captured])
  // What a round writes goes from round to round as carries do.
  const carried = [...carry, ...valuesBefore(written, keeps)]
  const firstAgain = carried.length + items.length
  const firstSource = firstAgain + again.length
  const overwritten = new Operands(carry.length, written)
  const captured = new Operands(
    firstSource + sources.length,
    subgraph.captured.filter((x) => !overwritten.has(x)),
  )
  const inputs = [...carried, ...items, ...again, ...sources, ...captured.tensors]
  const carrySpecs = carried.map((x) => x.spec)
  const ySpecs = subgraph.specs.slice(carry.length)
  const rows = [...ySpecs, ...packSpecs].map((spec) => rowsOf(spec, length))
  const flow = new Rounds(
    {
      inputs: operandsOf(inputs),
      outputs: operandsOf([...carrySpecs, ...rows, ...carrySpecs.map((spec) => (keeps ? rowsOf(spec, length) : spec))]),
      effect: subgraph.effect,
      carries: carried.length,
      items: items.length + again.length,
      length,
      reverse,
      keeps,
      wiring: subgraph.wiring({
        args: [...positions(0, carry.length), ...positions(carried.length, items.length + again.length)],
        captured: (x) => (overwritten.has(x) ? overwritten : captured).at(x),
        results: [...positions(0, carry.length), ...positions(carried.length, ySpecs.length)],
        packs: positions(carried.length + ySpecs.length, packSpecs.length),
        written: (x) => overwritten.at(x),
      }),
    },
    [subgraph.body],
  )
  const outputs = bindControl(flow, inputs, (gradients, { inputs: saved, outputs: made, wanted, unused }) => {
    const values = saved as readonly Tensor[]
    const floats = carry.map((x) => isFloat(x.dtype))
    const firstKept = made.length - carried.length
    const chosen = [...floats, ...items.map((_, i) => wanted[carried.length + i]!)]
    const towards = sources.filter((_, i) => wanted[firstSource + i])
    const usedFrom = (first: number, count: number) =>
      gradients.slice(first, first + count).map((g, i) => (isFloat(g.dtype) && !unused?.[first + i] ? g : null))
    const rounds = {
      carry: made.slice(firstKept, firstKept + carry.length) as Tensor[],
      past: made.slice(firstKept + carry.length) as Tensor[],
      x: values.slice(carried.length, firstAgain),
      y: usedFrom(carried.length, ySpecs.length),
      // Of the carries that were kept: a gradient of this gradient goes by way of them.
      kept: usedFrom(firstKept, carry.length).filter((_, i) => floats[i]),
      packs: given,
    }
    const start = {
      carry: gradients.slice(0, carry.length).filter((_, i) => floats[i]),
      sources: towards.map((x) => x.newFull(x.shape, 0)),
    }
    const [{ carry: first, sources: sums }, found] = scan(
      (sum, round) => {
        let next = 0
        const seeds = [...floats.map((float) => (float ? sum.carry[next++]! : null)), ...round.y]
        const pulled = pullBack({
          f: body,
          values: [...round.carry, ...round.x],
          wanted: chosen,
          sources: towards,
          seeds,
          packs: round.packs as Packs,
          past: written.map((memory, i) => ({ memory, value: round.past[i]! })),
        })
        const own = pulled.values.splice(0, sum.carry.length).map((x, i) => (round.kept[i] ? x.add(round.kept[i]) : x))
        return [{ carry: own, sources: sum.sources.map((x, i) => x.add(pulled.sources[i]!)) }, pulled.values]
      },
      start,
      rounds,
      { reverse: !reverse, length },
    )
    const left = { carry: [...first], items: [...found], sources: [...sums] }
    return inputs.map((_, i) => {
      // A carry's gradient is there whether it is wanted or not.
      if (i < carry.length) return floats[i] ? left.carry.shift()! : null
      if (!wanted[i] || i < carried.length) return null
      return i < firstSource ? left.items.shift()! : left.sources.shift()!
    })
  })
  writeBack(written, outputs.slice(carry.length, carried.length))
  const firstPack = carried.length + ySpecs.length
  const given = packs ?? subgraph.packs(outputs.slice(firstPack, firstPack + packSpecs.length))
  if (!packs) recorder.packs.push(given)
  return [withTensors(init, outputs) as Loosely<C>, withTensors(y, outputs.slice(carried.length)) as Loosely<Y>]
}
