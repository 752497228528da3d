/** Sets of small whole numbers as text: `0-9,12`. Ten thousand runs fit into an address. */
export function formatIds(ids: Iterable<number>): string {
  const ranges: string[] = []
  const sorted = [...ids].sort((a, b) => a - b)
  for (let i = 0; i < sorted.length;) {
    const first = sorted[i]!
    let last = first
    while (i < sorted.length && sorted[i]! <= last + 1) last = sorted[i++]!
    ranges.push(first === last ? String(first) : `${first}-${last}`)
  }
  return ranges.join(',')
}

/** Undefined when it is not such a text. A range may be wider than `most` numbers, but no more are counted. */
export function parseIds(text: string, most = 100_000): Set<number> | undefined {
  const ids = new Set<number>()
  for (const range of text === '' ? [] : text.split(',')) {
    const parts = /^(\d{1,9})(?:-(\d{1,9}))?$/.exec(range)
    if (!parts) return undefined
    const first = Number(parts[1])
    const last = Number(parts[2] ?? first)
    for (let id = first; id <= last && ids.size < most; id++) ids.add(id)
  }
  return ids
}
