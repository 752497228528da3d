import { CotangentError } from '../errors.ts'
import { checkCount } from './check.ts'
import { permuted, type Random } from './random.ts'
import { checkWeights } from './stages/sample-from.ts'

/** Says which elements of data with indices come in a pass, and in what order. */
export interface Sampler {
  readonly name: string
  /** Indices that a pass has of data with `size` elements. */
  length(size: number): number
  /** @param random A function of seed and pass. */
  order(size: number, random: Random): Int32Array
}

/** How many indices a random order has in a pass, and whether one may come again. */
export interface RandomSamplerOptions {
  /** Elements may come more than once; default false. */
  readonly replacement?: boolean
  /** Elements in a pass; default all. Without replacement, more than there are begin a new order. */
  readonly numSamples?: number
}

/** Elements in a random order, like PyTorch's `RandomSampler`. */
export function randomSampler({ replacement = false, numSamples }: RandomSamplerOptions = {}): Sampler {
  if (numSamples !== undefined) checkCount('randomSampler', 'numSamples', numSamples, { least: 0 })
  return {
    name: 'randomSampler',
    length: (size) => (size === 0 ? 0 : (numSamples ?? size)),
    order: (size, random) => {
      const count = size === 0 ? 0 : (numSamples ?? size)
      if (replacement) return Int32Array.from({ length: count }, () => random.below(size))
      const order = new Int32Array(count)
      for (let at = 0; at < count; at += size) order.set(permuted(size, random).subarray(0, count - at), at)
      return order
    },
  }
}

/** Some elements by their indices in a random order, like PyTorch's `SubsetRandomSampler`. */
export function subsetRandomSampler(indices: ArrayLike<number>): Sampler {
  const own = Int32Array.from(indices)
  return {
    name: 'subsetRandomSampler',
    length: () => own.length,
    order: (_, random) => {
      const order = own.slice()
      random.shuffle(order)
      return order
    },
  }
}

/** Elements by their indices, in this order. */
export function subsetSampler(indices: ArrayLike<number>): Sampler {
  const own = Int32Array.from(indices)
  return { name: 'subsetSampler', length: () => own.length, order: () => own }
}

/** How many indices a pass draws by their weights. One may come again by default. */
export interface WeightedRandomSamplerOptions {
  /** Elements in a pass; default as many as there are weights. */
  readonly numSamples?: number
  /** Elements may come more than once; default true. */
  readonly replacement?: boolean
}

/** Elements as often as their weights say, like PyTorch's `WeightedRandomSampler`: against classes that are rare. */
export function weightedRandomSampler(
  weights: ArrayLike<number>,
  { numSamples = weights.length, replacement = true }: WeightedRandomSamplerOptions = {},
): Sampler {
  const op = 'weightedRandomSampler'
  const own = Float64Array.from(weights)
  checkWeights(op, [...own], own.length)
  checkCount(op, 'numSamples', numSamples, { least: 0 })
  const possible = own.filter((weight) => weight > 0).length
  if (!replacement && numSamples > possible) {
    throw new CotangentError('invalid-argument', {
      op,
      message: `${numSamples} samples without replacement of ${possible} elements whose weight is not 0`,
      hint: 'Ask for fewer, or with replacement.',
    })
  }
  return {
    name: op,
    length: () => numSamples,
    order: (size, random) => {
      if (size !== own.length) {
        throw new CotangentError('invalid-argument', {
          op,
          message: `${own.length} weights for ${size} elements`,
          hint: 'Give one for each.',
        })
      }
      return replacement ? withReplacement(own, numSamples, random) : withoutReplacement(own, numSamples, random)
    },
  }
}

function withReplacement(weights: Float64Array, count: number, random: Random): Int32Array {
  let sum = 0
  const sums = weights.map((weight) => (sum += weight))
  return Int32Array.from({ length: count }, () => {
    const x = random.uniform() * sum
    let [low, high] = [0, sums.length - 1]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (sums[middle]! > x) high = middle
      else low = middle + 1
    }
    return low
  })
}

/** Those with the largest u^(1/weight), in logarithms (Efraimidis and Spirakis 2006, algorithm A). */
function withoutReplacement(weights: Float64Array, count: number, random: Random): Int32Array {
  const keys = weights.map((weight) => (weight === 0 ? -Infinity : Math.log(1 - random.uniform()) / weight))
  const order = Int32Array.from(weights, (_, i) => i)
  return order.sort((a, b) => keys[b]! - keys[a]! || a - b).subarray(0, count)
}

/** Which share of the indices one process of several goes over. */
export interface DistributedSamplerOptions {
  /** Processes that share the data. */
  readonly numReplicas: number
  /** Which of them this is, from 0. */
  readonly rank: number
  /** Default true. Give the dataset's `sample` the same seed in all processes. */
  readonly shuffle?: boolean
  /** Leaves out elements so that each process has as many, where otherwise some would come twice. */
  readonly dropLast?: boolean
}

/** This process's share of the elements, like PyTorch's `DistributedSampler`. */
export function distributedSampler({ numReplicas, rank, shuffle = true, dropLast = false }: DistributedSamplerOptions): Sampler {
  const op = 'distributedSampler'
  checkCount(op, 'numReplicas', numReplicas)
  if (!Number.isInteger(rank) || rank < 0 || rank >= numReplicas) {
    throw new CotangentError('index-out-of-range', {
      op,
      message: `rank is ${rank} of ${numReplicas}`,
      hint: `It is 0 to ${numReplicas - 1}.`,
    })
  }
  const length = (size: number) => (dropLast ? Math.floor(size / numReplicas) : Math.ceil(size / numReplicas))
  return {
    name: op,
    length,
    order: (size, random) => {
      const all = shuffle ? permuted(size, random) : Int32Array.from({ length: size }, (_, i) => i)
      return Int32Array.from({ length: length(size) }, (_, i) => all[(rank + i * numReplicas) % size]!)
    },
  }
}
