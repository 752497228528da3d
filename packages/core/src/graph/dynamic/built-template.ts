import { CotangentError } from '../../errors.ts'
import type { Spec } from '../../layout.ts'
import { mapTree } from '../../tree.ts'
import type { BuiltProgram } from '../built-program.ts'
import type { Joint } from '../joint.ts'
import { isTensor } from '../trace.ts'
import { ProgramTemplate } from './program-template.ts'
import { at, BySize, fitData, fitSpec, type Fitted, Misfit } from './size-fit.ts'

/** A compiled function as it follows from a size, with its backward half and its results. */
export class BuiltTemplate {
  readonly #base: BuiltProgram
  readonly #program: ProgramTemplate
  readonly #joint: ((size: number) => Joint) | null

  /**
   * @param built The function at each of `sizes`.
   * @throws {Misfit}
   */
  constructor(built: readonly BuiltProgram[], sizes: readonly number[]) {
    this.#base = built[0]!
    const tree = ({ result }: BuiltProgram) => mapTree(result, isTensor, () => null)
    fixed(built.map(tree), sizes)
    fixed(
      built.map(({ results }) => results),
      sizes,
    )
    this.#program = new ProgramTemplate(
      built.map(({ program }) => program),
      sizes,
    )
    const joints = built.flatMap(({ joint }) => joint ?? [])
    if (joints.length > 0 && joints.length < built.length) throw new Misfit('structure', 'only some results have gradients')
    this.#joint = joints.length > 0 ? fitJoint(joints, sizes) : null
  }

  /** @throws {Misfit} */
  at(size: number): BuiltProgram {
    return { ...this.#base, program: this.#program.at(size), joint: this.#joint && this.#joint(size) }
  }
}

function fitJoint(joints: readonly Joint[], sizes: readonly number[]): (size: number) => Joint {
  const [base] = joints as readonly [Joint]
  const parts = joints.map((joint) => joint.parts)
  fixed(
    parts.map(({ results, roots, spent }) => ({ results, roots, spent: spent.roots })),
    sizes,
  )
  fixed(
    parts.map(({ exits }) => exits.map((exit) => ('edge' in exit ? [exit.edge.node.id, exit.edge.index] : [exit.argument]))),
    sizes,
  )
  const specs: Fitted<Spec>[] = base.parts.specs.map((_, i) =>
    fitSpec(
      parts.map((part) => part.specs[i]!),
      sizes,
    ),
  )
  const splits = parts.flatMap(({ split }) => (split instanceof CotangentError ? [] : [split]))
  fixed([splits.length, parts.length * Math.sign(splits.length)], sizes)
  fixed(
    splits.map(({ gradients }) => gradients),
    sizes,
  )
  // Its gradient may never be asked for, so that its passes run when it is.
  const backward =
    splits.length > 0 && parts.some(({ exits }) => exits.length > 0)
      ? new ProgramTemplate(
          splits.map((split) => split.program()),
          sizes,
        )
      : null
  return (size) =>
    base.resized(
      specs.map((spec) => at(spec, size)),
      backward && (() => backward.at(size)),
    )
}

/** @throws {Misfit} Where data depend on the size. */
function fixed(samples: readonly unknown[], sizes: readonly number[]): void {
  if (samples.length > 0 && fitData(samples, sizes) instanceof BySize)
    throw new Misfit('structure', 'it returns other things at another size')
}
