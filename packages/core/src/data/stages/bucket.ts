import { CotangentError } from '../../errors.ts'
import { checkCount } from '../check.ts'
import { type Batched, collate, type CollateOptions } from '../collate.ts'
import { type PaddingOptions, padElements } from '../pad-elements.ts'
import type { Stage } from '../stage.ts'
import { groupStage } from './group.ts'

const op = 'bucketBySequenceLength'

/** Which lengths go into one batch, and how many elements a batch of each bucket has. */
export interface BucketOptions {
  /** Lengths at which buckets end: `[10, 20]` makes three, of lengths below 10, below 20, and from 20 on. */
  readonly boundaries: readonly number[]
  /** Elements of a batch in each bucket, one number more than there are boundaries. */
  readonly batchSizes: readonly number[]
  /** Leaves out batches at the end that are not full. */
  readonly dropLast?: boolean
  /** Pads to the longest length that a bucket can have, not to that of the batch, so that each bucket has one shape; default false. */
  readonly padToBoundary?: boolean
}

/** Batches of elements of like lengths. */
export function bucketStage<T>(
  input: Stage<T>,
  lengthOf: (value: T) => number,
  {
    boundaries,
    batchSizes,
    dropLast = false,
    padToBoundary = false,
    padding,
    dtypes,
  }: BucketOptions & CollateOptions & { readonly padding: PaddingOptions },
): Stage<Batched<T>> {
  if (boundaries.length === 0 || boundaries.some((b, i) => !(b > (boundaries[i - 1] ?? 0)))) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `boundaries are [${boundaries.join(', ')}]`,
      hint: 'Give lengths above 0, each more than the one before.',
    })
  }
  if (batchSizes.length !== boundaries.length + 1) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${batchSizes.length} batchSizes for ${boundaries.length + 1} buckets`,
      hint: 'Give one more than there are boundaries.',
    })
  }
  batchSizes.forEach((size, i) => checkCount(op, `batchSizes[${i}]`, size))
  return groupStage({
    name: op,
    input,
    keyOf: (value) => {
      const length = lengthOf(value)
      if (typeof length !== 'number' || Number.isNaN(length)) {
        throw new CotangentError('invalid-argument', {
          op,
          message: `the length of an element is ${String(length)}`,
          hint: 'It is a number.',
        })
      }
      const found = boundaries.findIndex((bound) => length < bound)
      return found === -1 ? boundaries.length : found
    },
    sizeOf: (bucket) => batchSizes[bucket]!,
    dropLast,
    make: (bucket, elements: T[]) =>
      collate(padElements(op, elements, { ...padding, ...(padToBoundary && { least: longest(bucket) }) }), { dtypes }),
  })

  function longest(bucket: number): number {
    const bound = boundaries[bucket]
    if (bound !== undefined) return Math.ceil(bound) - 1
    throw new CotangentError('invalid-argument', {
      op,
      message: `an element has length ${boundaries.at(-1)} or more, for which there is no boundary to pad to`,
      hint: 'Give a boundary above all lengths, or leave longer elements out with filter.',
    })
  }
}
