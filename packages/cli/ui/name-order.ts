const collator = new Intl.Collator('en', { numeric: true })

/**
 * Things sorted by their names as people sort them: numbers in names count as numbers, decimal ones too, so that `lr0.001` comes before
 * `lr0.01`, and `step9` before `step10`.
 */
export function byName<T>(things: readonly T[], nameOf: (thing: T) => string): T[] {
  return things
    .map((thing) => ({ thing, parts: nameOf(thing).split(/(\d+(?:\.\d+)?)/) }))
    .sort((a, b) => compare(a.parts, b.parts))
    .map(({ thing }) => thing)
}

/** Every second part is a number. */
function compare(a: readonly string[], b: readonly string[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    if (a[i] === b[i]) continue
    const order = i % 2 === 1 ? Number(a[i]) - Number(b[i]) : collator.compare(a[i]!, b[i]!)
    if (order !== 0) return order
  }
  return a.length - b.length
}
