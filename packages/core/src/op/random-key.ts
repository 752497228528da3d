/** What kernels that draw random numbers share: their key, which is a kernel's scalars, and the words that follow from it. */
import type { KernelBuilder, Value } from '../engine/kernel.ts'
import type { Generator } from '../tensor/generator.ts'
import { liveScalars } from '../tensor/modes.ts'
import type { Scalar } from '../tensor/scalar.ts'
import { threefry } from './threefry.ts'

/** Scalar inputs that every random kernel has. */
export type Key = readonly [Value, Value, Value]

/** Two random words for the element at `position`, an int32. */
export const wordsAt = (k: KernelBuilder, [k0, k1, call]: Key, position: Value): [Value, Value] => threefry(k, [k0, k1], [position, call])

/** A key of its own for each call, and for each run of a recorded program. */
export const keyScalars = (generator: Generator): Scalar[] => liveScalars(3, 'int32', () => generator.next(), { kind: 'random', generator })
