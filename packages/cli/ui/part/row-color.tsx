import { hexOf } from '../colors.ts'

/** The colour of what a row of the list is about, to be chosen. */
export function RowColor({ of, color, onChoose }: { of: string; color: string; onChoose: (color: string) => void }) {
  return (
    <input
      type="color"
      tabIndex={-1}
      aria-label={`Colour of ${of}`}
      title="Choose a colour"
      value={hexOf(color)}
      onInput={(event) => onChoose(event.currentTarget.value)}
    />
  )
}
