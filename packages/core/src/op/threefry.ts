import type { KernelBuilder, Value } from '../engine/kernel.ts'

const rotations = [13, 15, 26, 6, 17, 29, 16, 24]
/** 13 rounds are the fewest that pass BigCrush (Salmon et al. 2011, table 2). */
const rounds = 13
const parity = 0x1bd11bda

/**
 * Threefry-2x32: two random words from a key and a counter (Salmon, Moraes, Dror, Shaw 2011, "Parallel random numbers: as
 * easy as 1, 2, 3"). Pure integer code on int32, so every engine and thread count gives the same numbers.
 */
export function threefry(k: KernelBuilder, key: readonly [Value, Value], counter: readonly [Value, Value]): [Value, Value] {
  const schedule = [key[0], key[1], k.xor(k.xor(key[0], key[1]), k.constant('int32', parity))]
  let a = k.add(counter[0], schedule[0]!)
  let b = k.add(counter[1], schedule[1]!)
  for (let round = 0; round < rounds; round++) {
    a = k.add(a, b)
    b = k.xor(rotateLeft(k, b, rotations[round % 8]!), a)
    if (round % 4 === 3) {
      const injection = (round + 1) / 4
      a = k.add(a, schedule[injection % 3]!)
      b = k.add(k.add(b, schedule[(injection + 1) % 3]!), k.constant('int32', injection))
    }
  }
  return [a, b]
}

function rotateLeft(k: KernelBuilder, x: Value, by: number): Value {
  return k.or(k.shl(x, k.constant('int32', by)), k.shru(x, k.constant('int32', 32 - by)))
}

/** 24 random bits -> [0, 1), every value equally likely. */
export function uniform24(k: KernelBuilder, word: Value): Value {
  return k.mul(k.cast(k.shru(word, k.constant('int32', 8)), 'float32'), k.constant('float32', 2 ** -24))
}

/** 53 random bits -> [0, 1) in double precision. */
export function uniform53(k: KernelBuilder, words: readonly [Value, Value]): Value {
  const part = (word: Value, drop: number) => k.cast(k.shru(word, k.constant('int32', drop)), 'float64')
  const high = k.mul(part(words[0], 5), k.constant('float64', 2 ** 26))
  return k.mul(k.add(high, part(words[1], 6)), k.constant('float64', 2 ** -53))
}

/** One standard normal number from two words (Box and Muller 1958); `u` is in (0, 1), so the logarithm is finite. */
export function normalFrom(k: KernelBuilder, words: readonly [Value, Value], type: 'float32' | 'float64'): Value {
  const half = k.cast(k.shru(words[0], k.constant('int32', 1)), type)
  const u = k.mul(k.add(half, k.constant(type, 0.5)), k.constant(type, 2 ** -31))
  const radius = k.sqrt(k.mul(k.log(u), k.constant(type, -2)))
  const turn = k.mul(k.cast(k.shru(words[1], k.constant('int32', 8)), type), k.constant(type, 2 ** -24 * 2 * Math.PI))
  return k.mul(radius, k.cos(turn))
}
