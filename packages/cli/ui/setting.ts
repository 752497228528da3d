import { effect, type Signal, signal } from '@preact/signals'
import { linkedText, shareInLink } from './link.ts'

/** How a value stands in an address. */
interface Codec<T> {
  encode: (value: T) => string
  decode: (text: string) => unknown
}

interface SettingOptions<T> {
  /** Does the browser remember it? */
  isStored?: boolean
  /** Is it part of the page's address? */
  isLinked?: boolean
  codec?: Codec<T>
}

/**
 * A signal that the browser remembers and that the page's address carries. An address that says how things are shown goes before what is
 * remembered, in all settings alike, so that a link shows the same to everyone; what it says is remembered only when somebody changes it.
 * Both are taken only if `valid` finds them good: an older page may have written them.
 */
export function setting<T>(name: string, initial: T, valid: (value: unknown) => boolean, options: SettingOptions<T> = {}): Signal<T> {
  const { isStored = true, isLinked = true, codec = codecOf(initial) } = options
  const linked = isLinked ? linkedText(name) : undefined
  const read = (text: string | null): T => {
    const value = text === null ? initial : codec.decode(text)
    return valid(value) ? (value as T) : initial
  }
  const state = signal(linked !== undefined ? read(linked) : isStored ? recalled(name, initial, valid) : initial)
  if (isStored) remember(name, state)
  if (isLinked) {
    const usual = codec.encode(initial)
    const text = (): string | undefined => {
      const now = codec.encode(state.value)
      return now === usual ? undefined : now
    }
    shareInLink(name, { text, apply: (given) => (state.value = read(given)) })
  }
  return state
}

const keyOf = (name: string): string => `cotangent-board.${name}`

function recalled<T>(name: string, initial: T, valid: (value: unknown) => boolean): T {
  try {
    const before: unknown = JSON.parse(localStorage.getItem(keyOf(name)) ?? 'null')
    return valid(before) ? (before as T) : initial
  } catch {
    // No storage here, or nonsense in it: the board works without.
    return initial
  }
}

function remember(name: string, state: Signal<unknown>): void {
  let isFirst = true
  effect(() => {
    const text = JSON.stringify(state.value)
    if (isFirst) return void (isFirst = false)
    try {
      localStorage.setItem(keyOf(name), text)
    } catch {
      // As above.
    }
  })
}

/** Texts as they are, anything else as JSON. */
const codecOf = <T>(initial: T): Codec<T> =>
  typeof initial === 'string' ? { encode: String, decode: (text) => text } : { encode: (value) => JSON.stringify(value), decode: parsed }

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Lists of texts, apart by commas. */
export const listCodec: Codec<readonly string[]> = {
  encode: (list) => list.map((text) => text.replaceAll('%', '%25').replaceAll(',', '%2C')).join(','),
  decode: (text) => (text === '' ? [] : text.split(',').map((part) => part.replaceAll('%2C', ',').replaceAll('%25', '%'))),
}

export const oneOf =
  (choices: readonly unknown[]) =>
  (value: unknown): boolean =>
    choices.includes(value)
export const isBoolean = (value: unknown): boolean => typeof value === 'boolean'
export const isText = (value: unknown): boolean => typeof value === 'string'
export const isTexts = (value: unknown): boolean => Array.isArray(value) && value.every(isText)
export const isRecord = (value: unknown): boolean => typeof value === 'object' && value !== null && !Array.isArray(value)
export const within =
  (from: number, to: number) =>
  (value: unknown): boolean =>
    typeof value === 'number' && value >= from && value <= to
