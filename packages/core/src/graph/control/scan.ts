import { isFloat } from '../../dtype.ts'
import { CotangentError } from '../../errors.ts'
import type { Spec } from '../../layout.ts'
import { zeros } from '../../op/creation.ts'
import { stack } from '../../op/join.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { mapTree } from '../../tree.ts'
import { isTensor, type Packs, type Recorder, trace } from '../trace.ts'
import { Operands } from './operands.ts'
import { Rounds } from './rounds.ts'
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
  rowOf,
  rowsOf,
  seedsOf,
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
  const { written, captured, sources } = outsideOf('scan', [subgraph], tensorsOf([init, xs]))
  const keeps = isDifferentiated([...carry, ...items, ...sources, ...written, ...captured])
  // What a round writes goes from round to round as carries do.
  const before = valuesBefore(written, keeps)
  const inputs = new Operands({ carry, before, items, again, sources, captured })
  const specsOf = (tensors: readonly Tensor[]) => tensors.map((x) => x.spec)
  const stacked = (specs: readonly Spec[]) => specs.map((spec) => rowsOf(spec, length))
  const kept = (tensors: readonly Tensor[]) => (keeps ? stacked(specsOf(tensors)) : specsOf(tensors))
  const outputs = new Operands({
    carry: specsOf(carry),
    after: specsOf(before),
    ys: stacked(subgraph.specs.slice(carry.length)),
    packs: stacked(subgraph.packSpecs),
    keptCarry: kept(carry),
    keptBefore: kept(before),
  })
  const flow = new Rounds(
    {
      inputs: operandsOf(inputs.all),
      outputs: operandsOf(outputs.all),
      effect: subgraph.effect,
      carries: carry.length + before.length,
      items: items.length + again.length,
      length,
      reverse,
      keeps,
      wiring: subgraph.wiring({
        args: inputs.positions('carry', 'items', 'again'),
        captured: placesOf([...written, ...captured], inputs.positions('before', 'captured')),
        results: outputs.positions('carry', 'ys'),
        packs: outputs.positions('packs'),
        written: placesOf(written, outputs.positions('after')),
      }),
    },
    [subgraph.body],
  )
  const made = bindControl(flow, inputs.all, (gradients, { inputs: saved, outputs: results, wanted, unused }) => {
    const floats = carry.map((x) => isFloat(x.dtype))
    const towards = sources.filter((_, i) => inputs.of('sources', wanted)[i])
    const rounds = {
      carry: outputs.of('keptCarry', results as readonly Tensor[]),
      past: outputs.of('keptBefore', results as readonly Tensor[]),
      x: inputs.of('items', saved as readonly Tensor[]),
      y: seedsOf(outputs.positions('ys'), gradients, unused),
      // Of the carries that were kept: a gradient of this gradient goes by way of them.
      kept: seedsOf(outputs.positions('keptCarry'), gradients, unused).filter((_, i) => floats[i]),
      packs: given,
    }
    const start = {
      carry: outputs.of('carry', gradients).filter((_, i) => floats[i]),
      sources: towards.map((x) => x.newFull(x.shape, 0)),
    }
    const [{ carry: first, sources: sums }, found] = scan(
      (sum, round) => {
        let next = 0
        const seeds = [...floats.map((float) => (float ? sum.carry[next++]! : null)), ...round.y]
        const pulled = pullBack({
          f: body,
          values: [...round.carry, ...round.x],
          wanted: [...floats, ...inputs.of('items', wanted)],
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
    // A carry's gradient is there whether it is wanted or not.
    const there = wanted.map((isWanted, i) => floats[i] ?? isWanted)
    return inputs.spread({ carry: [...first], items: [...found], sources: [...sums] }, there)
  })
  writeBack(written, outputs.of('after', made))
  const given = packs ?? subgraph.packs(outputs.of('packs', made))
  if (!packs) recorder.packs.push(given)
  return [withTensors(init, made) as Loosely<C>, withTensors(y, outputs.of('ys', made)) as Loosely<Y>]
}
