import { effect, type Signal, signal } from '@preact/signals'

/** A signal that the browser remembers. What it remembers is taken only if `valid` finds it good: an older page may have written it. */
export function stored<T>(name: string, initial: T, valid: (value: unknown) => boolean): Signal<T> {
  const key = `cotangent-board.${name}`
  const state = signal(initial)
  try {
    const before: unknown = JSON.parse(localStorage.getItem(key) ?? 'null')
    if (valid(before)) state.value = before as T
  } catch {
    // No storage here, or nonsense in it: the board works without.
  }
  effect(() => {
    const text = JSON.stringify(state.value)
    try {
      localStorage.setItem(key, text)
    } catch {
      // As above.
    }
  })
  return state
}

export const oneOf =
  (choices: readonly unknown[]) =>
  (value: unknown): boolean =>
    choices.includes(value)
export const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
export const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
export const within =
  (from: number, to: number) =>
  (value: unknown): boolean =>
    typeof value === 'number' && value >= from && value <= to
