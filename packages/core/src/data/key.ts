import { Random } from './random.ts'

/** 64 bits that say which random numbers are drawn. */
export type Key = readonly [number, number]

export function keyOf(seed: number | bigint): Key {
  const bits = BigInt.asUintN(64, BigInt(seed))
  return [Number(bits & 0xffffffffn), Number(bits >> 32n)]
}

/** Another key for each number, unlike those of other numbers and keys: two rounds of the finaliser of MurmurHash3 (Appleby 2011). */
export function mix([a, b]: Key, n: number): Key {
  const low = scramble((a ^ Math.imul(n >>> 0, 0x9e3779b1)) + 0x7f4a7c15)
  const high = scramble((b ^ low ^ Math.floor(n / 2 ** 32)) + 0x85ebca6b)
  return [scramble(low ^ Math.imul(high, 0xc2b2ae35)), high]
}

export const mixKeys = (key: Key, [a, b]: Key): Key => mix(mix(key, a), b)

export const seedOf = ([a, b]: Key): bigint => (BigInt(b >>> 0) << 32n) | BigInt(a >>> 0)

export const randomOf = ([a, b]: Key): Random => Random.seeded(a, b)

function scramble(h: number): number {
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
