import type { Value } from './graph.ts'
import { areApart, type Walk } from './index-map.ts'
import { hasEffect, type Operation, type Program, resultsOf, rootOf } from './program.ts'

/** An operation between those that have to run before and after it. */
export interface Strand {
  readonly operation: Operation
  /** Its place in the order that the program came in. */
  readonly order: number
}

interface Links {
  readonly before: Set<Strand>
  readonly after: Set<Strand>
}

/** A program's operations as a graph that passes change piece by piece. */
export class Weave {
  readonly #program: Program
  readonly #links = new Map<Strand, Links>()
  readonly #writers = new Map<Value, Set<Strand>>()
  readonly #readers = new Map<Value, Set<Strand>>()
  /** Values that more than operations need: results, and memory that is overwritten in part later. */
  readonly #needed: ReadonlySet<Value>
  /** For values that memory from before holds in the end: that memory. */
  readonly #memoryOf: ReadonlyMap<Value, Value>
  /** The operations that overwrite memory from before, by its root. */
  readonly #overwriters = new Map<Value, Set<Strand>>()

  constructor(program: Program) {
    this.#program = program
    const needed = resultsOf(program.graph)
    for (const { outputs } of program.operations) {
      for (const { value } of outputs) if (value.source.kind === 'update') needed.add(value.source.of)
    }
    this.#needed = needed
    this.#memoryOf = new Map([...program.graph.writes].map(([memory, value]) => [value, memory]))
    let effect: Strand | undefined
    program.operations.forEach((operation, order) => {
      const strand = { operation, order }
      this.#links.set(strand, { before: new Set(), after: new Set() })
      const link = (before: Strand) => before !== strand && this.#link(before, strand)
      if (hasEffect(operation)) {
        if (effect) link(effect)
        effect = strand
      }
      for (const { value } of operation.inputs) {
        for (const writer of this.#writers.get(value) ?? []) link(writer)
      }
      for (const { value } of operation.outputs) {
        for (const root of this.#overwritten(value)) {
          // It comes after all that reads, or has written, what was there before.
          for (const known of [this.#readers, this.#writers]) {
            for (const [before, users] of known) if (rootOf(before) === root && before !== value) users.forEach(link)
          }
        }
        // Writers of parts of one value keep their order where the parts overlap, and so do those that read what earlier ones wrote.
        for (const writer of this.#writers.get(value) ?? []) if (mayOverlap(writer.operation, operation, value)) link(writer)
        this.#readers.get(value)?.forEach(link)
      }
      this.#attach(strand)
    })
  }

  /** In the order that the program came in. */
  get strands(): Strand[] {
    return [...this.#links.keys()].sort((a, b) => a.order - b.order)
  }

  has(strand: Strand): boolean {
    return this.#links.has(strand)
  }

  /** The one operation that makes all of a value; undefined where there are several, or none. */
  makerOf(value: Value): Strand | undefined {
    const writers = this.#writers.get(value)
    return writers?.size === 1 && value.source.kind === 'result' ? writers.values().next().value : undefined
  }

  readersOf(value: Value): ReadonlySet<Strand> {
    return this.#readers.get(value) ?? new Set()
  }

  /** Whether more than operations of the program need a value. */
  isNeeded(value: Value): boolean {
    return this.#needed.has(value)
  }

  /** Whether `to` can only run after `from`, by way of other operations than these two. */
  reachesIndirectly(from: Strand, to: Strand): boolean {
    const seen = new Set<Strand>([from])
    const stack = [...this.#links.get(from)!.after].filter((next) => next !== to)
    for (let next = stack.pop(); next; next = stack.pop()) {
      if (seen.has(next)) continue
      seen.add(next)
      for (const after of this.#links.get(next)!.after) {
        if (after === to) return true
        stack.push(after)
      }
    }
    return false
  }

  /**
   * Whether what `from` reads is still there when `at` runs: nothing has overwritten it that `at` has to wait for.
   */
  canReadAt(from: Strand, at: Strand): boolean {
    return from.operation.inputs.every(({ value }) => {
      for (const writer of this.#overwritersOf(value)) {
        if (writer !== at && writer !== from && (this.#links.get(writer)!.after.has(at) || this.reachesIndirectly(writer, at))) return false
      }
      return true
    })
  }

  /** Puts an operation in the place of others, which it does the work of; it runs where the last of them did. */
  replace(old: readonly Strand[], operation: Operation): Strand {
    const strand: Strand = { operation, order: Math.max(...old.map((s) => s.order)) }
    const links = { before: new Set<Strand>(), after: new Set<Strand>() }
    for (const gone of old) {
      for (const before of this.#links.get(gone)!.before) if (!old.includes(before)) links.before.add(before)
      for (const after of this.#links.get(gone)!.after) if (!old.includes(after)) links.after.add(after)
    }
    for (const gone of old) this.remove(gone)
    this.#links.set(strand, { before: new Set(), after: new Set() })
    this.#attach(strand)
    for (const before of links.before) this.#link(before, strand)
    for (const after of links.after) this.#link(strand, after)
    for (const { value } of operation.inputs) {
      for (const writer of this.#writers.get(value) ?? []) if (writer !== strand) this.#link(writer, strand)
      for (const writer of this.#overwritersOf(value)) if (writer !== strand) this.#link(strand, writer)
    }
    return strand
  }

  remove(strand: Strand): void {
    const { before, after } = this.#links.get(strand)!
    for (const other of before) this.#links.get(other)!.after.delete(strand)
    for (const other of after) this.#links.get(other)!.before.delete(strand)
    this.#links.delete(strand)
    for (const { value } of strand.operation.inputs) this.#readers.get(value)?.delete(strand)
    for (const { value } of strand.operation.outputs) this.#writers.get(value)?.delete(strand)
    for (const writers of this.#overwriters.values()) writers.delete(strand)
  }

  /**
   * The operations in an order in which they may run.
   *
   * @param choose Which of those that may run next does, by its position; they come in their old order. Default: the first.
   */
  program(choose: (ready: readonly Strand[]) => number = () => 0): Program {
    const waiting = new Map([...this.#links].map(([strand, { before }]) => [strand, before.size]))
    const ready = this.strands.filter((strand) => waiting.get(strand) === 0)
    const operations: Operation[] = []
    while (ready.length > 0) {
      const [next] = ready.splice(choose(ready), 1) as [Strand]
      operations.push(next.operation)
      for (const after of this.#links.get(next)!.after) {
        const left = waiting.get(after)! - 1
        waiting.set(after, left)
        if (left > 0) continue
        const at = ready.findIndex((other) => other.order > after.order)
        ready.splice(at < 0 ? ready.length : at, 0, after)
      }
    }
    if (operations.length < this.#links.size) throw new TypeError('the operations of a program wait for each other')
    return { ...this.#program, operations }
  }

  /** The operations that overwrite memory which holds a value. */
  #overwritersOf(value: Value): Strand[] {
    const history = new Set<Value>([value])
    for (let { source } = value; source.kind === 'update'; { source } = source.of) history.add(source.of)
    const writers = this.#overwriters.get(rootOf(value)) ?? []
    return [...writers].filter(({ operation }) => !operation.outputs.some((o) => history.has(o.value)))
  }

  /** Memory from before, by its root, that holds `value` in the end. */
  #overwritten(value: Value): Value[] {
    const roots = new Set([this.#memoryOf.get(value), rootOf(value)])
    return [...roots].filter((root) => root !== undefined && root !== value) as Value[]
  }

  /** Notes what an operation reads and writes. */
  #attach(strand: Strand): void {
    for (const { value } of strand.operation.inputs) addTo(this.#readers, value, strand)
    for (const { value } of strand.operation.outputs) {
      addTo(this.#writers, value, strand)
      for (const root of this.#overwritten(value)) addTo(this.#overwriters, root, strand)
    }
  }

  #link(before: Strand, after: Strand): void {
    this.#links.get(before)!.after.add(after)
    this.#links.get(after)!.before.add(before)
  }
}

/** Whether two operations write, or may write, the same elements of a value. */
function mayOverlap(first: Operation, second: Operation, value: Value): boolean {
  const [own, others] = [writtenIn(first, value), writtenIn(second, value)]
  return !own || !others || own.some((a) => others.some((b) => !areApart(a, b)))
}

/** What an operation writes of a value; undefined where only running tells. */
function writtenIn({ program, outputs }: Operation, value: Value): Walk[] | undefined {
  if (program.kind === 'control') return undefined
  return outputs.flatMap(({ value: written, offset }, i): Walk[] => {
    if (written !== value) return []
    if (program.kind === 'kernel')
      return [{ extents: [...program.parallel, ...program.reduce], strides: program.outputs[i]!.strides, offset }]
    const { shape, strides } = program.outputs[i]!
    return [{ extents: shape, strides, offset }]
  })
}

function addTo(map: Map<Value, Set<Strand>>, value: Value, strand: Strand): void {
  const found = map.get(value)
  if (found) found.add(strand)
  else map.set(value, new Set([strand]))
}
