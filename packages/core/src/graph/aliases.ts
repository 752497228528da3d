import { CotangentError } from '../errors.ts'
import type { Storage } from '../tensor/storage.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { type Graph, isRead, type Value } from './graph.ts'
import { rootOf } from './program.ts'

/**
 * What must not be the same memory: a program takes all that it was traced with for different memory, which makes a difference
 * only if it writes there.
 */
export class Aliases {
  readonly #captured = new Set<Storage>()
  readonly #written = new Set<Storage>()
  readonly #writtenArguments: readonly number[]

  /** @param own Memory of the program that each run overwrites. */
  constructor(graph: Graph, own: Iterable<Storage>) {
    const values = new Set<Value>()
    for (const { inputs, outputs } of graph.nodes) for (const x of [...inputs, ...outputs]) if (isRead(x)) values.add(rootOf(x.value))
    for (const { source } of values) if (source.kind === 'captured') this.#captured.add(source.storage)
    for (const { source } of graph.writes.keys()) if (source.kind === 'captured') this.#written.add(source.storage)
    for (const storage of own) this.#written.add(storage)
    for (const storage of this.#written) storage.isProgramState = true
    this.#writtenArguments = graph.inputs.flatMap(({ value }, i) => (graph.writes.has(value) ? [i] : []))
  }

  /** Throws if one of `args` is memory that the program writes or reads in another way too. */
  check(args: readonly Tensor[]): void {
    const written = this.#writtenArguments
    if (written.length === 0 && this.#written.size === 0) return
    for (let i = 0; i < args.length; i++) {
      const { storage } = args[i]!
      if (storage.isProgramState && this.#written.has(storage))
        refuse(`tensor ${i} of the arguments is also changed by the compiled function as a captured one`, args[i]!)
    }
    for (const at of written) {
      const { storage } = args[at]!
      if (this.#captured.has(storage)) refuse(`tensor ${at} of the arguments, which it changes, is also captured by it`, args[at]!)
      const twin = args.findIndex((x, i) => i !== at && x.storage === storage)
      if (twin >= 0) refuse(`tensors ${twin} and ${at} of the arguments share memory, and it changes one of them`, args[at]!)
    }
  }
}

function refuse(message: string, { shape, dtype }: Tensor): never {
  throw new CotangentError('invalid-argument', {
    op: 'compile',
    message,
    shapes: [shape],
    dtypes: [dtype],
    hint: 'Pass a copy (x.clone()), or use it in one way only: as an argument, or captured.',
  })
}
