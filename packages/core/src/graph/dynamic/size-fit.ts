import { type Spec, spec as specOf } from '../../layout.ts'

/** Why several programs are not one program at several sizes. */
export class Misfit extends Error {
  /** Of `numbers`, the structure is the same: another law may fit once there are more sizes to tell it by. */
  readonly kind: 'structure' | 'numbers'

  constructor(kind: Misfit['kind'], message: string) {
    super(message)
    this.kind = kind
  }
}

/** What is another one at each size. */
export class BySize<T> {
  readonly at: (size: number) => T

  constructor(at: (size: number) => T) {
    this.at = at
  }
}

/** What is the same at all sizes, as it is, or what follows from the size. */
export type Fitted<T> = T | BySize<T>

export const at = <T>(fitted: Fitted<T>, size: number): T => (fitted instanceof BySize ? (fitted.at(size) as T) : fitted)

/** Relative error up to which scale factors (1/n of a mean) count as equal: they may have been rounded to float32. */
const TOLERANCE = 2 ** -22

/**
 * The law that a number follows: constant; for integers, linear in the size with an integer slope, or, from four sizes on, quadratic;
 * for factors, one over a linear function, or one more than that. All samples have to agree with it.
 *
 * @param sizes Distinct, one a number.
 * @throws {Misfit}
 */
export function fitNumber(numbers: readonly number[], sizes: readonly number[]): Fitted<number> {
  const [first] = numbers
  if (numbers.every((x) => Object.is(x, first))) return first!
  const law = linear(numbers, sizes) ?? quadratic(numbers, sizes) ?? inverse(numbers, sizes, 0) ?? inverse(numbers, sizes, 1)
  if (law) return new BySize(law)
  throw new Misfit('numbers', `no law gives ${numbers.join(', ')} at the sizes ${sizes.join(', ')}`)
}

type Law = (size: number) => number

function linear(numbers: readonly number[], sizes: readonly number[]): Law | null {
  const slope = (numbers[1]! - numbers[0]!) / (sizes[1]! - sizes[0]!)
  // A slope that is none is that of a quotient, which is rounded between these sizes.
  if (!numbers.every(Number.isSafeInteger) || !Number.isInteger(slope)) return null
  const law = (size: number) => numbers[0]! + slope * (size - sizes[0]!)
  return numbers.every((x, i) => law(sizes[i]!) === x) ? law : null
}

function quadratic(numbers: readonly number[], sizes: readonly number[]): Law | null {
  if (numbers.length < 4 || !numbers.every(Number.isSafeInteger)) return null
  const [[a, b, c], [x, y, z]] = [sizes, numbers] as unknown as [number[], number[]] as [[number, number, number], [number, number, number]]
  const slope = (y - x) / (b - a)
  const curve = ((z - x) / (c - a) - slope) / (c - b)
  const law = (size: number) => Math.round(x + (size - a) * (slope + curve * (size - b)))
  // Integers at all integers.
  const step = slope + curve * (a + 1 - b)
  if (!Number.isInteger(2 * curve) || Math.abs(step - Math.round(step)) > 1e-9) return null
  return numbers.every((n, i) => law(sizes[i]!) === n) ? law : null
}

function inverse(numbers: readonly number[], sizes: readonly number[], shift: number): Law | null {
  const inverses = numbers.map((x) => 1 / (x - shift))
  if (!inverses.every(Number.isFinite)) return null
  const low = sizes.indexOf(Math.min(...sizes))
  const high = sizes.indexOf(Math.max(...sizes))
  const slope = (inverses[high]! - inverses[low]!) / (sizes[high]! - sizes[low]!)
  const law = (size: number) => shift + 1 / (inverses[low]! + slope * (size - sizes[low]!))
  return numbers.every((x, i) => Math.abs(law(sizes[i]!) - x) <= TOLERANCE * Math.abs(x - shift)) ? law : null
}

/**
 * Plain data (numbers, texts, arrays, objects) as it follows from the size. What does not depend on it is shared.
 *
 * @throws {Misfit}
 */
export function fitData<T>(samples: readonly T[], sizes: readonly number[]): Fitted<T> {
  const [first] = samples as readonly [T]
  if (samples.every((x) => Object.is(x, first))) return first
  if (samples.every((x) => typeof x === 'number')) return fitNumber(samples as readonly number[], sizes) as Fitted<T>
  if (samples.every(Array.isArray)) {
    if (samples.some((x) => (x as unknown[]).length !== (first as unknown[]).length))
      throw new Misfit('structure', 'lists of other lengths')
    const parts = (first as unknown[]).map((_, i) =>
      fitData(
        samples.map((x) => (x as unknown[])[i]),
        sizes,
      ),
    )
    if (!parts.some((part) => part instanceof BySize)) return first
    return new BySize((size) => parts.map((part) => at(part, size)) as T)
  }
  if (!samples.every(isPlain)) throw new Misfit('structure', `${String(first)} is something else at another size`)
  if (samples.every(isSpec)) return fitSpec(samples as readonly Spec[], sizes) as Fitted<T>
  const keys = Object.keys(first as object)
  if (samples.some((x) => Object.keys(x as object).join() !== keys.join())) throw new Misfit('structure', 'objects of other properties')
  const varying: [string, BySize<unknown>][] = []
  for (const key of keys) {
    const part = fitData(
      samples.map((x) => (x as Record<string, unknown>)[key]),
      sizes,
    )
    if (part instanceof BySize) varying.push([key, part])
  }
  if (varying.length === 0) return first
  return new BySize((size) => {
    const made: Record<string, unknown> = { ...(first as object) }
    for (const [key, part] of varying) made[key] = part.at(size)
    return made as T
  })
}

/** @throws {Misfit} */
export function fitSpec(specs: readonly Spec[], sizes: readonly number[]): Fitted<Spec> {
  const [base] = specs as readonly [Spec]
  if (specs.every((spec) => spec === base)) return base
  if (specs.some(({ dtype }) => dtype !== base.dtype)) throw new Misfit('structure', 'other dtypes')
  const walks = specs.map(({ shape, strides }) => ({ shape, strides }))
  const walk = fitData(walks, sizes)
  return new BySize((size) => {
    const { shape, strides } = at(walk, size)
    return specOf(base.dtype, shape, strides)
  })
}

const isSpec = (x: unknown): x is Spec => typeof x === 'object' && x !== null && 'contiguous' in x && 'scalar' in x
const isPlain = (x: unknown): boolean => typeof x === 'object' && x !== null && Object.getPrototypeOf(x) === Object.prototype
