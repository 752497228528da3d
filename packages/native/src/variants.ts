import type { Routine } from 'cotangent'
import type { NativeDescription } from './binding.ts'
import { describe, type DescribeOptions } from './describe.ts'

/** A way to compute a routine that autotuning may choose. */
interface Variant {
  /** On the calling thread. */
  readonly alone: boolean
  /** Which of oneDNN's implementations, in its own order. */
  readonly implementation: number
  readonly windows: boolean
}

/** Further ones are for older machines. */
const implementations = [0, 1, 2]

const variants: ReadonlyMap<string, Variant> = new Map(
  [false, true].flatMap((windows) =>
    [false, true].flatMap((alone) =>
      implementations.map((implementation) => {
        const where = `${alone ? 'one thread' : 'all threads'}${windows ? ', as a convolution' : ''}`
        return [`${where}, implementation ${implementation}`, { alone, implementation, windows }] as const
      }),
    ),
  ),
)

/** Multiply-adds from which on all threads are the right number: only another program on the machine could make one look faster. */
const workForAll = 2 ** 25

/** Names of the ways in which oneDNN might compute a product or a convolution; none of them for anything else. */
export function variantNames(routine: Routine, machine: DescribeOptions, threads: number): string[] {
  // Of bytes, not all that oneDNN has is exact.
  if (!['float32', 'bfloat16'].includes(routine.inputs[0]!.dtype)) return []
  const [described, asWindows] = [false, true].map((windows) => describe(routine, { ...machine, windows }))
  const kind = described && kindOf(described.describe(1))
  if (kind === undefined) return []
  const counts = threads === 1 ? [true] : described!.work < workForAll ? [false, true] : [false]
  const forms = asWindows && kindOf(asWindows.describe(1)) !== kind ? [false, true] : [false]
  return [...variants].flatMap(([name, { alone, windows }]) => (counts.includes(alone) && forms.includes(windows) ? [name] : []))
}

const kindOf = (description: NativeDescription) => ('kind' in description ? description.kind : undefined)

/** What the variant of that name is in oneDNN's terms; oneDNN may turn out not to have it. */
export function describeVariant(name: string, routine: Routine, machine: DescribeOptions, threads: number): NativeDescription | undefined {
  const { alone, implementation, windows } = variants.get(name)!
  const described = describe(routine, { ...machine, windows })
  return described && { ...described.describe(alone ? 1 : threads), implementation }
}
