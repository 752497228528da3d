/**
 * Eight colours that stay apart for people who see colours differently: those of Okabe and Ito ("Color universal design", 2008),
 * with yellow and black, which vanish on one background or the other, replaced by a violet and a brown, and lightness set for each background.
 */
const light = ['#0072b2', '#d55e00', '#009e73', '#cc4f94', '#c98500', '#3a9bd9', '#7b57c4', '#8a5a2b'] as const
const dark = ['#4aa8e8', '#f5844a', '#2cc296', '#e58bbb', '#e9b13c', '#8fd0f7', '#ac92ec', '#c49a6c'] as const

export const paletteSize = light.length

export const paletteColor = (index: number, onDark: boolean): string => (onDark ? dark : light)[index % paletteSize]!

/** Black or white, whichever is read more easily on a colour of the palette (contrast as WCAG 2 has it). */
export function inkOn(color: string): string {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const channel = Number.parseInt(color.slice(at, at + 2), 16) / 255
    return channel <= 0.04045 ? channel / 12.92 : ((channel + 0.055) / 1.055) ** 2.4
  }) as [number, number, number]
  const luminance = 0.2126 * r + 0.7152 * g + 0.0722 * b
  // Where (L + 0.05) / 0.05 equals 1.05 / (L + 0.05).
  return luminance > 0.179 ? '#0c0f14' : '#ffffff'
}

/** When the colours are used up they come again with other dashes. In CSS pixels; solid first. */
const dashes: readonly (readonly number[])[] = [[], [6, 3], [2, 3], [8, 3, 2, 3]]

export const paletteDash = (index: number): readonly number[] => dashes[Math.floor(index / paletteSize) % dashes.length]!

/** From low to high, even in lightness and safe for all eyes: points of viridis (Smith and van der Walt, 2015). */
const viridis = [
  [68, 1, 84],
  [71, 44, 122],
  [59, 81, 139],
  [44, 113, 142],
  [33, 144, 141],
  [39, 173, 129],
  [92, 200, 99],
  [170, 220, 50],
  [253, 231, 37],
] as const

/** Red, green and blue (0 to 255) at a place from 0 to 1. */
function sequential(place: number): [number, number, number] {
  const at = Math.min(1, Math.max(0, place)) * (viridis.length - 1)
  const low = viridis[Math.floor(at)]!
  const high = viridis[Math.ceil(at)]!
  const t = at - Math.floor(at)
  return [0, 1, 2].map((i) => Math.round(low[i]! + (high[i]! - low[i]!) * t)) as [number, number, number]
}

/** The same for thin lines: without the end that vanishes on the page. */
export const lineColor = (place: number, onDark: boolean): string => sequentialColor(onDark ? 0.35 + 0.65 * place : 0.85 * place)

export const sequentialColor = (place: number): string => `rgb(${sequential(place).join(' ')})`
