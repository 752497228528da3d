/** Options as `toString` of a layer shows them: `stride: 2, ceilMode: true`. */
export function describeOptions(options: object | undefined): string {
  return Object.entries(options ?? {})
    .filter(([, value]) => value !== undefined && typeof value !== 'function')
    .map(([name, value]) => `${name}: ${JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ')}`)
    .join(', ')
}

/** `[3, 3]` as 3, `[3, 5]` as itself. */
export const showSizes = (sizes: readonly number[]): string =>
  sizes.every((n) => n === sizes[0]) ? String(sizes[0]) : `[${sizes.join(', ')}]`
