import type { ParamState } from './update-rule.ts'

/** An optimiser's options as they were when they were looked at last: users set them as they like. */
export class KnownOptions<O extends object> {
  readonly #options: O
  readonly #values: unknown[] = []
  #version = 0

  constructor(options: O) {
    this.#options = options
  }

  /** Another one whenever a look has found changes. */
  get version(): number {
    return this.#version
  }

  /** Whether they have changed since the last look. The first one finds that they have. */
  look(): boolean {
    const options = this.#options
    const values = this.#values
    let changed = false
    let i = 0
    for (const name in options) {
      if (options[name] !== values[i]) {
        values[i] = options[name]
        changed = true
      }
      i++
    }
    if (changed) this.#version++
    return changed
  }
}

/** Numbers by name as a list. A rule gives them in the same order each time, and looking up names from elsewhere takes far longer. */
export function listNumbers(values: { readonly [name: string]: number }, into: number[] = []): number[] {
  let i = 0
  for (const name in values) into[i++] = values[name]!
  return into
}

/**
 * Gives a function that lists the numbers which follow from options and the step of a parameter: in the same list each time, made anew only where
 * the options have changed or `numbers` has looked at the step. Somebody looks at the options before.
 */
export function recurringNumbers<O extends object>(
  numbers: (options: O, state: ParamState) => { readonly [name: string]: number },
  options: O,
  known: KnownOptions<O>,
  { state }: { readonly state: ParamState },
): () => readonly number[] {
  const listed: number[] = []
  let version = Number.NaN
  let lookedAtStep = false
  const watched: ParamState = {
    get step() {
      lookedAtStep = true
      return state.step
    },
  }
  return () => {
    if (!lookedAtStep && version === known.version) return listed
    lookedAtStep = false
    version = known.version
    return listNumbers(numbers(options, watched), listed)
  }
}
