/** Options as `toString` of a layer shows them: `stride: 2, ceilMode: true`. */
export function describeOptions(options: object | undefined): string {
  return Object.entries(options ?? {})
    .filter(([, value]) => value !== undefined && typeof value !== 'function')
    .map(([name, value]) => `${name}: ${JSON.stringify(value).replaceAll('"', "'").replaceAll(',', ', ')}`)
    .join(', ')
}
