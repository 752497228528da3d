import type { Signal } from '@preact/signals'
import type { ComponentChildren } from 'preact'

interface ChoiceProps<T extends string> {
  label: string
  state: Signal<T>
  choices: readonly (readonly [value: T, words: string])[]
}

/** A few choices side by side, one of which is on. */
export function Choice<T extends string>({ label, state, choices }: ChoiceProps<T>) {
  return (
    <fieldset class="choice">
      <legend>{label}</legend>
      <div>
        {choices.map(([value, words]) => (
          <label key={value} class={state.value === value ? 'on' : ''}>
            <input type="radio" name={label} checked={state.value === value} onChange={() => (state.value = value)} />
            {words}
          </label>
        ))}
      </div>
    </fieldset>
  )
}

export function Toggle({ state, title, children }: { state: Signal<boolean>; title?: string; children: ComponentChildren }) {
  return (
    <label class="toggle" title={title}>
      <input type="checkbox" checked={state.value} onChange={() => (state.value = !state.value)} />
      {children}
    </label>
  )
}

interface SliderProps {
  label: string
  value: number
  min: number
  max: number
  step: number
  onInput: (value: number) => void
  /** The value in words; shown beside the slider and read out. */
  words: string
  /** Does the slider say enough to the eye? */
  isQuiet?: boolean
}

export function Slider({ label, value, min, max, step, onInput, words, isQuiet = false }: SliderProps) {
  return (
    <label class="slider">
      <span class="slider-label">{label}</span>
      <input
        type="range"
        min={min}
        max={max}
        step={step}
        value={value}
        aria-valuetext={words}
        onInput={(event) => onInput(Number(event.currentTarget.value))}
      />
      {!isQuiet && <output>{words}</output>}
    </label>
  )
}

interface FilterProps {
  label: string
  state: Signal<string>
  /** Is what stands there a regular expression? */
  isValid: boolean
}

export function Filter({ label, state, isValid }: FilterProps) {
  return (
    <input
      type="search"
      class="filter"
      placeholder={label}
      title="A regular expression, without regard to case"
      aria-label={`${label}, a regular expression`}
      aria-invalid={!isValid}
      value={state.value}
      spellcheck={false}
      onInput={(event) => (state.value = event.currentTarget.value)}
    />
  )
}

interface SelectProps<T extends string> {
  label: string
  state: Signal<T>
  words: Readonly<Record<T, string>>
  isQuiet?: boolean
}

/** One of several values, in a list that opens. */
export function Select<T extends string>({ label, state, words, isQuiet = false }: SelectProps<T>) {
  return (
    <label class="select">
      <span class="visually-hidden">{label}</span>
      <select class={isQuiet ? 'quiet' : ''} value={state.value} onChange={(event) => (state.value = event.currentTarget.value as T)}>
        {(Object.keys(words) as T[]).map((value) => (
          <option key={value} value={value}>
            {words[value]}
          </option>
        ))}
      </select>
    </label>
  )
}
