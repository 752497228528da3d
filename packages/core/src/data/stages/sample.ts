import { CotangentError } from '../../errors.ts'
import { indexedStage, reordered } from '../indexed.ts'
import { randomOf } from '../key.ts'
import type { Sampler } from '../sampler.ts'
import type { Stage } from '../stage.ts'

/** Where the draws come from: the same seed draws the same elements. */
export interface SampleOptions {
  readonly seed?: number | bigint
}

/** The elements that a sampler chooses, in its order. */
export function sampleStage<T>(input: Stage<T>, sampler: Sampler, { seed }: SampleOptions): Stage<T> {
  const { indexed, length: size } = input
  if (!indexed || size === undefined || size === Infinity) {
    throw new CotangentError('invalid-argument', {
      op: sampler.name,
      message: `the elements of ${input.name} cannot be had by index`,
      hint: 'Sample tensors, arrays, ranges or Dataset.fromIndexed, before other transformations.',
    })
  }
  return indexedStage({
    name: sampler.name,
    inputs: [input],
    length: sampler.length(size),
    hasRows: input.hasRows ?? false,
    open: (opening) => {
      const order = sampler.order(size, randomOf(opening.key(seed)))
      const wrong = order.find((index) => !(index >= 0 && index < size))
      if (wrong !== undefined) {
        throw new CotangentError('index-out-of-range', {
          op: sampler.name,
          message: `there is no element ${wrong} of ${size}`,
          hint: `Indices are 0 to ${size - 1}.`,
        })
      }
      return reordered(indexed(opening.input()), order)
    },
  })
}
