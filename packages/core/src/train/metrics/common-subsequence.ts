/** The places in `a` of a longest common subsequence with `b`, ascending. Which of several, is as in Lin's package. */
export function commonSubsequence(a: readonly string[], b: readonly string[]): number[] {
  const width = b.length + 1
  // Length of the longest one of the first i of a and the first j of b.
  const lengths = new Int32Array((a.length + 1) * width)
  for (let i = 1; i <= a.length; i++) {
    for (let j = 1; j <= b.length; j++) {
      lengths[i * width + j] =
        a[i - 1] === b[j - 1] ? lengths[(i - 1) * width + j - 1]! + 1 : Math.max(lengths[(i - 1) * width + j]!, lengths[i * width + j - 1]!)
    }
  }
  const places: number[] = []
  for (let [i, j] = [a.length, b.length]; i > 0 && j > 0;) {
    if (a[i - 1] === b[j - 1]) {
      places.push(--i)
      j--
    } else if (lengths[i * width + j - 1]! > lengths[(i - 1) * width + j]!) j--
    else i--
  }
  return places.reverse()
}

/**
 * How many tokens of `wanted`, line by line, are in the union of the longest common subsequences with each line of `said`. No token
 * counts more often than either text has it.
 */
export function unionOfSubsequences(wanted: readonly (readonly string[])[], said: readonly (readonly string[])[]): number {
  const left = [wanted, said].map((lines) => {
    const counts = new Map<string, number>()
    for (const token of lines.flat()) counts.set(token, (counts.get(token) ?? 0) + 1)
    return counts
  })
  let hits = 0
  for (const line of wanted) {
    const places = new Set(said.flatMap((other) => commonSubsequence(line, other)))
    for (const place of places) {
      const token = line[place]!
      if (left.some((counts) => !counts.get(token))) continue
      hits++
      for (const counts of left) counts.set(token, counts.get(token)! - 1)
    }
  }
  return hits
}
