import type { Spec } from '../layout.ts'
import { modes } from '../tensor/modes.ts'
import type { Scalar } from '../tensor/scalar.ts'
import type { Tensor } from '../tensor/tensor.ts'

/** What a gradient rule sees of the op that ran. Inputs and outputs that the op does not save are null. */
export interface GradientContext<A = unknown> {
  readonly attrs: A
  /** Scalars are handed on as they are. */
  readonly inputs: readonly (Tensor | null)[]
  readonly outputs: readonly (Tensor | null)[]
  readonly inputSpecs: readonly Spec[]
  readonly outputSpecs: readonly Spec[]
  /** Which inputs a gradient is wanted for. */
  readonly wanted: readonly boolean[]
  /** Which outputs' gradients are zeros because nothing depends on them; absent where that is not known. */
  readonly unused?: readonly boolean[]
}

/** Gradients of the inputs from gradients of the outputs; null where there is none (or none is wanted). */
export type GradientRule<A = unknown> = (gradients: readonly Tensor[], context: GradientContext<A>) => readonly (Tensor | null)[]

/** Tangents of the outputs from tangents of the inputs; null where there is none. `context` has all values. */
export type TangentRule<A = unknown> = (
  tangents: readonly (Tensor | null)[],
  context: Omit<GradientContext<A>, 'wanted'>,
) => readonly (Tensor | null)[]

/** The place where a tensor's gradient comes from: output `index` of `node`. */
export interface Edge {
  readonly node: TapeNode
  readonly index: number
}

/** A value that a gradient rule needs later. */
export interface Saved {
  /** The value, or null if its memory has been overwritten since. */
  get(): Tensor | Scalar | null
}

let created = 0

/** How many nodes there have been: the id of the next one. */
export const nodesCreated = (): number => created

/** One op that ran while gradients were recorded, or (with `leaf`) a tensor that collects its gradient in `.grad`. */
export class TapeNode {
  /** Increases with time, so descending ids are a topological order. */
  readonly id = created++
  readonly name: string
  readonly leaf: Tensor | undefined
  readonly edges: readonly (Edge | null)[]
  readonly outputSpecs: readonly Spec[]
  /** The user's stack at the time, while anomaly detection is on. */
  readonly trace: string | undefined
  hooks: ((gradient: Tensor) => Tensor | undefined)[][] | undefined
  #rule: GradientRule | undefined
  readonly #attrs: unknown
  readonly #inputSpecs: readonly Spec[]
  #inputs: readonly (Saved | null)[]
  #outputs: readonly (Saved | null)[]

  constructor(
    name: string,
    record:
      | { leaf: Tensor }
      | {
          rule: GradientRule
          attrs: unknown
          edges: readonly (Edge | null)[]
          inputSpecs: readonly Spec[]
          outputSpecs: readonly Spec[]
          inputs: readonly (Saved | null)[]
          trace: string | undefined
        },
  ) {
    this.name = name
    this.#inputs = []
    this.#outputs = []
    if ('leaf' in record) {
      this.leaf = record.leaf
      this.edges = []
      this.outputSpecs = [record.leaf.spec]
      this.#inputSpecs = []
    } else {
      this.edges = record.edges
      this.outputSpecs = record.outputSpecs
      this.trace = record.trace
      this.#rule = record.rule
      this.#attrs = record.attrs
      this.#inputSpecs = record.inputSpecs
      this.#inputs = record.inputs
    }
  }

  saveOutputs(outputs: readonly (Saved | null)[]): void {
    this.#outputs = outputs
  }

  /**
   * Applies the gradient rule, for the edges that are wanted. Throws if saved values are gone or have been overwritten since.
   */
  gradients(
    of: readonly Tensor[],
    edges: { readonly wanted: readonly boolean[]; readonly unused: readonly boolean[] },
    fail: (problem: 'freed' | 'modified', name: string) => never,
  ): readonly (Tensor | null)[] {
    const rule = this.#rule
    if (!rule) fail('freed', this.name)
    const restore = (saved: Saved | null) => {
      if (!saved) return null
      const value = saved.get() ?? fail('modified', this.name)
      return value as Tensor
    }
    return rule(of, {
      attrs: this.#attrs,
      inputs: this.#inputs.map(restore),
      outputs: this.#outputs.map(restore),
      inputSpecs: this.#inputSpecs,
      outputSpecs: this.outputSpecs,
      ...edges,
    })
  }

  /** Whether it cannot be walked any more. */
  get freed(): boolean {
    return !this.leaf && !this.#rule
  }

  /** Lets go of what was saved; the node cannot be walked again. */
  free(): void {
    this.#rule = undefined
    this.#inputs = []
    this.#outputs = []
  }
}

/** Saves a value in the way that is in force. */
export function save(value: Tensor | Scalar): Saved {
  return modes.saver?.save(value) ?? new Kept(value)
}

/** A value as it is, which notices when it has been changed in place. */
export class Kept implements Saved {
  readonly #value: Tensor | Scalar
  readonly #version: number

  constructor(value: Tensor | Scalar) {
    this.#value = value
    this.#version = value.version
  }

  get(): Tensor | Scalar | null {
    return this.#value.version === this.#version ? this.#value : null
  }
}
