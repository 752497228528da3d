import { isFloat } from '../../dtype.ts'
import type { Region } from '../../engine/control.ts'
import { CotangentError } from '../../errors.ts'
import { zeros } from '../../op/creation.ts'
import { stack } from '../../op/join.ts'
import { inAutocastOfNow } from '../../tensor/autocast.ts'
import { modes } from '../../tensor/modes.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { mapTree } from '../../tree.ts'
import { isTensor, type Packs, type Recorder, trace } from '../trace.ts'
import {
  bindControl,
  checkSame,
  copyRegion,
  dense,
  pullBack,
  recording,
  rowOf,
  rowsOf,
  sourcesOf,
  Subgraph,
  tensorsOf,
  withTensors,
} from './subgraph.ts'

/** A tree of tensors of the same structure, of any shapes. */
export type Loosely<T> = T extends Tensor ? Tensor : T extends object ? { [K in keyof T]: Loosely<T[K]> } : T

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
  const sources = sourcesOf(subgraph)
  const inputs = [...carry, ...items, ...again, ...sources, ...subgraph.captured]
  const firstSource = carry.length + items.length + again.length
  const firstCaptured = firstSource + sources.length
  const keeps = modes.grad && inputs.some((x) => x.requiresGrad)
  const carrySpecs = carry.map((x) => x.spec)
  const ySpecs = subgraph.specs.slice(carry.length)
  const { packSpecs } = subgraph
  const outputs = bindControl('scan', {
    inputs,
    outputs: [
      ...carrySpecs,
      ...[...ySpecs, ...packSpecs].map((spec) => rowsOf(spec, length)),
      // Carries of all rounds, or what takes turns with the last one.
      ...carrySpecs.map((spec) => (keeps ? rowsOf(spec, length) : spec)),
    ],
    effect: subgraph.effect,
    run(engine, from, to) {
      const count = carry.length
      const row = (regions: readonly Region[], shapes: readonly { readonly size: number }[], at: number) =>
        regions.map(({ buffer, offset }, i): Region => ({ buffer, offset: offset + at * shapes[i]!.size }))
      const last = to.slice(0, count)
      const rows = to.slice(count, to.length - count)
      const spare = to.slice(to.length - count)
      const copyInit = (target: readonly Region[]) => carrySpecs.forEach((spec, i) => copyRegion(engine, spec, from[i]!, target[i]!))
      const rowSpecs = inputs.slice(count, firstSource).map((x) => rowOf(x.spec))
      let before = from.slice(0, count)
      if (length === 0) copyInit(last)
      for (let round = 0; round < length; round++) {
        const at = reverse ? length - 1 - round : round
        if (keeps && round === 0) {
          before = row(spare, carrySpecs, at)
          copyInit(before)
        }
        const kept = () => row(spare, carrySpecs, reverse ? at - 1 : at + 1)
        const target = round === length - 1 ? last : keeps ? kept() : (length - 1 - round) % 2 === 0 ? last : spare
        const given = [...before, ...row(from.slice(count, firstSource), rowSpecs, at), ...from.slice(firstCaptured)]
        subgraph.run(engine, given, [...target, ...row(rows, [...ySpecs, ...packSpecs], at)])
        before = target
      }
    },
    gradient(gradients, { inputs: saved, outputs: made, wanted, unused }) {
      const values = saved as readonly Tensor[]
      const floats = carry.map((x) => isFloat(x.dtype))
      const chosen = [...floats, ...items.map((_, i) => wanted[carry.length + i]!)]
      const towards = sources.filter((_, i) => wanted[firstSource + i])
      const usedFrom = (first: number, count: number) =>
        gradients.slice(first, first + count).map((g, i) => (isFloat(g.dtype) && !unused?.[first + i] ? g : null))
      const rounds = {
        carry: made.slice(made.length - carry.length) as Tensor[],
        x: values.slice(carry.length, carry.length + items.length),
        y: usedFrom(carry.length, ySpecs.length),
        // Of the carries that were kept: a gradient of this gradient goes by way of them.
        kept: usedFrom(gradients.length - carry.length, carry.length).filter((_, i) => floats[i]),
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
        if (!wanted[i]) return null
        return i < firstSource ? left.items.shift()! : left.sources.shift()!
      })
    },
  })
  const ys = carry.length + ySpecs.length
  const given = packs ?? subgraph.packs(outputs.slice(ys, ys + packSpecs.length))
  if (!packs) recorder.packs.push(given)
  return [withTensors(init, outputs) as Loosely<C>, withTensors(y, outputs.slice(carry.length)) as Loosely<Y>]
}
