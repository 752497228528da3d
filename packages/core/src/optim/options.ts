import { CotangentError } from '../errors.ts'

/** Smallest and largest value of a numeric option. */
export type Limits<O> = { readonly [K in keyof O]?: readonly [low: number, high: number] }

/**
 * Options as given, with defaults for the rest.
 *
 * @throws {CotangentError} `invalid-argument` for an option that does not exist, is of another kind than its default, or lies
 *   outside its limits (without any: 0 to infinity; for pairs, such as betas, from 0 to below 1).
 */
export function completeOptions<O extends object>(op: string, defaults: O, given: Partial<O>, limits: Limits<O> = {}): O {
  const known = defaults as Record<string, unknown>
  for (const [key, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(known, key)) {
      throw new CotangentError('invalid-argument', {
        op,
        message: `there is no option ${key}`,
        hint: `The options are ${Object.keys(known).join(', ')}.`,
      })
    }
    const fallback = known[key]
    const [low, high] = limits[key as keyof O] ?? [0, Number.POSITIVE_INFINITY]
    if (Array.isArray(fallback)) {
      const valid =
        Array.isArray(value) &&
        value.length === fallback.length &&
        value.every((v, i) => (v === null && fallback[i] === null) || (typeof v === 'number' && v >= 0 && v < 1))
      if (!valid) throw refused(op, key, value, `${fallback.length} numbers from 0 to below 1`)
    } else if (typeof fallback === 'boolean') {
      if (typeof value !== 'boolean') throw refused(op, key, value, 'true or false')
    } else if (!(value === null && fallback === null) && !(typeof value === 'number' && value >= low && value <= high)) {
      throw refused(op, key, value, `a number from ${low} to ${high}`)
    }
  }
  return { ...defaults, ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) }
}

function refused(op: string, key: string, value: unknown, wanted: string): CotangentError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : Array.isArray(value) ? `[${value.join(', ')}]` : String(value)
  return new CotangentError('invalid-argument', {
    op,
    message: `${key} is ${shown}, not ${wanted}`,
    hint: `Leave ${key} out for its default.`,
  })
}
