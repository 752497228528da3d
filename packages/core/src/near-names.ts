/** The names that a misspelt one may stand for, nearest first. */
export function nearNames(name: string, known: readonly string[]): string[] {
  const wanted = name.toLowerCase()
  return known
    .map((candidate) => ({ candidate, distance: distance(wanted, candidate.toLowerCase()) }))
    .filter(({ candidate, distance: d }) => d <= Math.max(2, Math.floor(Math.max(candidate.length, name.length) / 3)))
    .sort((a, b) => a.distance - b.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** `Did you mean valLoss? ` or nothing. */
export function didYouMean(name: string, known: readonly string[]): string {
  const near = nearNames(name, known)
  return near.length > 0 ? `Did you mean ${near.join(' or ')}? ` : ''
}

/** Insertions, deletions and replacements between two texts (Levenshtein 1966). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + Number(a[i - 1] !== b[j - 1])))
    row = next
  }
  return row[b.length]!
}
