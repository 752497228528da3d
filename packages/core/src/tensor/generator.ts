import { CotangentError } from '../errors.ts'

/** Everything that a generator's future depends on. */
export interface GeneratorState {
  readonly seed: bigint
  readonly calls: number
}

/**
 * A source of random numbers: a seed and a count of the calls so far. Element i of call c is a fixed function of (seed, i, c),
 * so numbers do not depend on engine or thread count.
 */
export class Generator {
  /** None yet: what nobody seeds is seeded when it is first asked, as the host's own randomness takes long to start. */
  #seed: bigint | undefined
  #calls = 0

  constructor(seed?: number | bigint) {
    if (seed !== undefined) this.#seed = checkSeed(seed)
  }

  /** Starts over from `seed`. */
  manualSeed(seed: number | bigint): this {
    this.#seed = checkSeed(seed)
    this.#calls = 0
    return this
  }

  /** Key and call number for the next random op, as int32 words. */
  next(): readonly [key0: number, key1: number, call: number] {
    const seed = this.#given
    return [Number(BigInt.asIntN(32, seed)), Number(BigInt.asIntN(32, seed >> 32n)), this.#calls++ | 0]
  }

  /** What it takes to go on from here: the seed, and how often numbers were drawn. */
  get state(): GeneratorState {
    return { seed: this.#given, calls: this.#calls }
  }

  set state({ seed, calls }: GeneratorState) {
    if (!Number.isSafeInteger(calls) || calls < 0) {
      throw new CotangentError('invalid-argument', {
        op: 'Generator',
        message: `${calls} is no count of calls`,
        hint: "Set what another generator's state was.",
      })
    }
    this.#seed = checkSeed(seed)
    this.#calls = calls
  }

  get #given(): bigint {
    return (this.#seed ??= randomSeed())
  }

  /** Makes random numbers part of a checkpoint: `{ model, optimizer, random: defaultGenerator }`. */
  stateDict(): GeneratorState {
    return this.state
  }

  loadStateDict(state: GeneratorState): void {
    this.state = state
  }
}

function checkSeed(seed: number | bigint): bigint {
  if (typeof seed !== 'bigint' && !Number.isSafeInteger(seed)) {
    throw new CotangentError('invalid-argument', {
      op: 'manualSeed',
      message: `${seed} is not a seed`,
      hint: 'Use an integer (a bigint beyond 2^53).',
    })
  }
  return BigInt.asUintN(64, BigInt(seed))
}

function randomSeed(): bigint {
  return crypto.getRandomValues(new BigUint64Array(1))[0]! >> 11n
}

/** The generator of ops that are given none. */
export const defaultGenerator = new Generator()

/** Makes all random numbers from here on a function of `seed`, like `torch.manual_seed`. */
export function manualSeed(seed: number | bigint): Generator {
  return defaultGenerator.manualSeed(seed)
}
