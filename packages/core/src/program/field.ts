import { type DType, isDType } from '../dtype.ts'
import type { CotangentError } from '../errors.ts'
import { corruptFile, quoteName } from '../io/array-record.ts'
import { limits, type NumberFile } from './format.ts'

/** Part of a file's JSON, which is checked as it is read. Every error says where in the file it is. */
export class Field {
  readonly #value: unknown
  readonly path: string

  constructor(value: unknown, path: string) {
    this.#value = value
    this.path = path
  }

  fail(problem: string): CotangentError {
    return corruptFile('loadProgram', `${this.path} ${problem}`)
  }

  check(condition: boolean, problem: string): void {
    if (!condition) throw this.fail(problem)
  }

  /** Its parts by name: all of `required`, maybe some of `optional`, and nothing else. */
  object<R extends string, O extends string = never>(
    required: readonly R[],
    optional: readonly O[] = [],
  ): Record<R, Field> & Record<O, Field | undefined> {
    const entries = this.entries()
    for (const name of required)
      this.check(
        entries.some(([key]) => key === name),
        `has no ${name}`,
      )
    for (const [key] of entries)
      this.check(
        (required as readonly string[]).includes(key) || (optional as readonly string[]).includes(key),
        `has the unknown field ${quoteName(key)}`,
      )
    return Object.fromEntries(entries) as Record<R, Field> & Record<O, Field | undefined>
  }

  entries(): [string, Field][] {
    const value = this.#value
    this.check(typeof value === 'object' && value !== null && !Array.isArray(value), 'is no object')
    const entries = Object.entries(value as object)
    return entries.map(([key, part]) => {
      this.check(key !== '__proto__', 'has a field that is not allowed')
      return [key, new Field(part, `${this.path}.${key.length > 40 ? `${key.slice(0, 40)}…` : key}`)]
    })
  }

  list(most: number, least = 0): Field[] {
    const value = this.#value
    if (!Array.isArray(value)) throw this.fail('is no list')
    this.check(value.length <= most, `has ${value.length} parts, more than ${most}`)
    this.check(value.length >= least, `has ${value.length} parts, fewer than ${least}`)
    return value.map((part, i) => new Field(part, `${this.path}[${i}]`))
  }

  integer(low: number, high: number): number {
    const value = this.#value
    this.check(Number.isSafeInteger(value) && !Object.is(value, -0), 'is no integer')
    this.check((value as number) >= low && (value as number) <= high, `is ${String(value)}, outside of ${low} to ${high}`)
    return value as number
  }

  boolean(): boolean {
    const value = this.#value
    if (typeof value !== 'boolean') throw this.fail('is neither true nor false')
    return value
  }

  text(): string {
    const value = this.#value
    if (typeof value !== 'string') throw this.fail('is no text')
    this.check(value.length <= limits.text, `is longer than ${limits.text} characters`)
    return value
  }

  oneOf<T extends string>(choices: readonly T[]): T {
    const value = this.#value
    this.check(typeof value === 'string' && (choices as readonly string[]).includes(value), `is none of ${choices.join(', ')}`)
    return value as T
  }

  dtype(): DType {
    const value = this.#value
    if (!isDType(value)) throw this.fail('is no dtype')
    return value
  }

  /** See `NumberFile`; integers beyond 2^53 come as bigints. */
  number(): number | bigint {
    const value = this.#value as NumberFile
    if (typeof value === 'number') return value
    if (typeof value !== 'string') throw this.fail('is no number')
    if (['NaN', 'Infinity', '-Infinity', '-0'].includes(value)) return Number(value)
    this.check(/^-?\d{1,20}$/.test(value), 'is no number')
    return BigInt(value)
  }

  /** A number that is neither NaN nor infinite. */
  finite(): number {
    const value = this.#value
    if (typeof value !== 'number' || !Number.isFinite(value)) throw this.fail('is no finite number')
    return value
  }

  /** A leaf: null, true, false, a number or text. */
  leaf(): string | boolean | null {
    const value = this.#value
    if (value === null || typeof value === 'boolean') return value
    return this.text()
  }

  /** JSON as it is; the caller checks it. */
  raw(): unknown {
    return this.#value
  }

  is(kind: 'number' | 'string' | 'object'): boolean {
    return typeof this.#value === kind
  }

  /** Whether it is an object with such a field. */
  has(name: string): boolean {
    return typeof this.#value === 'object' && this.#value !== null && Object.hasOwn(this.#value, name)
  }

  shape(): number[] {
    const sizes = this.list(limits.rank).map((n) => n.integer(0, 2 ** 31 - 1))
    this.check(pointsOf(sizes) <= limits.points, 'is too large')
    return sizes
  }

  strides(rank: number): number[] {
    return this.list(rank, rank).map((n) => n.integer(-limits.stride, limits.stride))
  }
}

/** The product of sizes, some of which may be 0: as if those were 1, which bounds what is computed on the way. */
export const pointsOf = (sizes: readonly number[]): number => sizes.reduce((points, n) => points * Math.max(1, n), 1)

/** The first and the last element that a walk over a space comes to; null where it is empty. */
export function reach(extents: readonly number[], strides: readonly number[], offset: number): readonly [low: number, high: number] | null {
  if (extents.includes(0)) return null
  let [low, high] = [offset, offset]
  strides.forEach((stride, axis) => {
    const last = stride * (extents[axis]! - 1)
    if (last < 0) low += last
    else high += last
  })
  return [low, high]
}
