import { CotangentError } from '../errors.ts'
import { type Spec, spec } from '../layout.ts'
import { isViews, type Primitive, type View } from '../tensor/primitive.ts'
import { batchProgram } from './batch-program.ts'

export interface BatchedAttrs {
  /** Of the op itself. */
  readonly attrs: unknown
  /** Which inputs have an example for each position of a leading axis; the others are shared by all. */
  readonly mapped: readonly boolean[]
  readonly size: number
  /** Whether random numbers differ from example to example. */
  readonly different: boolean
}

/** How to differentiate an op on a whole batch: `gradient` and `tangent` of the op itself, run in a level of `vmap`. */
type BatchedRules = (op: Primitive) => Pick<Primitive<BatchedAttrs>, 'gradient' | 'tangent'>

const known = new WeakMap<Primitive, Primitive<BatchedAttrs>>()

/**
 * The op on a batch: inputs that are `mapped`, and all outputs, have a leading axis of `size` examples. What runs for it is what
 * runs for one example, with that axis added to the program, so every op has it: kernels and views get one more axis,
 * routines take it along with their own batch axes or repeat.
 */
export function batchedPrimitive(op: Primitive, rules: BatchedRules): Primitive<BatchedAttrs> {
  let found = known.get(op)
  if (!found) known.set(op, (found = makeBatched(op, rules)))
  return found
}

/** Specs of one example. */
export const examples = (specs: readonly Spec[], mapped: readonly boolean[]): Spec[] =>
  specs.map((s, i) => (mapped[i] ? spec(s.dtype, s.shape.slice(1), s.strides.slice(1)) : s))

function makeBatched(op: Primitive, rules: BatchedRules): Primitive<BatchedAttrs> {
  const { saves } = op
  return {
    name: op.name,
    ...(op.random && { random: true }),
    infer: (inputs, { attrs, mapped, size }) =>
      op.infer(examples(inputs, mapped), attrs).map(({ dtype, shape }) => ({ dtype, shape: [size, ...shape] })),
    lower(inputs, outputs, { attrs, mapped, size, different }) {
      const all = outputs.map(() => true)
      const single = op.lower(examples(inputs, mapped), examples(outputs, all), attrs)
      if (single === null) return null
      const stretch = (view: View): View => ({ ...view, shape: [size, ...view.shape], strides: [inputs[0]!.strides[0]!, ...view.strides] })
      if (isViews(single)) return single.map(stretch)
      if (single.kind === 'view') return stretch(single)
      if (single.kind === 'control') {
        throw new CotangentError('unsupported', {
          op: op.name,
          message: 'control flow of a compiled program has no batched form',
          hint: 'Call vmap() inside its branches or body.',
        })
      }
      const strides = [...inputs.flatMap((s, i) => (s.scalar ? [] : [mapped[i] ? s.strides[0]! : 0])), ...outputs.map((s) => s.strides[0]!)]
      const scalars = inputs.filter((s) => s.scalar).length
      return batchProgram(single, { strides, size, scalars, different })
    },
    ...(op.gradient && rules(op)),
    ...(saves && {
      saves: (inputs, outputs, { attrs, mapped }) =>
        saves(
          examples(inputs, mapped),
          examples(
            outputs,
            outputs.map(() => true),
          ),
          attrs,
        ),
    }),
  }
}
