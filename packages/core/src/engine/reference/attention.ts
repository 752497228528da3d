import type { AttentionAttrs } from '../routine.ts'
import type { Dense, RoutineMeaning } from './arithmetic.ts'

const numbers = (x: Dense): readonly number[] => x.values as readonly number[]

/** Goes through all rows: scores of a query, none of keys that do not count. */
function forEachRow(
  { scale, causal }: AttentionAttrs,
  [q, k, mask]: readonly [Dense, Dense, Dense | undefined],
  body: (row: { readonly query: number; readonly firstKey: number; readonly scores: readonly (number | undefined)[] }) => void,
): void {
  const [queries, size] = q.shape.slice(-2) as [number, number]
  const keys = k.shape.at(-2)!
  const [a, b] = [numbers(q), numbers(k)]
  const guarded = causal || mask !== undefined
  const rows = q.shape.slice(0, -1).reduce((n, m) => n * m, 1)
  for (let query = 0; query < rows; query++) {
    const firstKey = Math.floor(query / queries) * keys
    const scores = Array.from({ length: keys }, (_, key) => {
      if (causal && key > query % queries) return undefined
      let sum = 0
      for (let c = 0; c < size; c++) sum += a[query * size + c]! * b[(firstKey + key) * size + c]!
      let score = sum * scale
      const allowed = mask?.values[query * keys + key]
      if (mask?.dtype === 'bool') score = allowed ? score : Number.NEGATIVE_INFINITY
      else if (mask) score += allowed as number
      return guarded && score === Number.NEGATIVE_INFINITY ? undefined : score
    })
    body({ query, firstKey, scores })
  }
}

export const attention: RoutineMeaning<'attention'> = (attrs, [q, k, v, mask]) => {
  const width = v!.shape.at(-1)!
  const values = numbers(v!)
  const result: number[] = []
  const logSums: number[] = []
  forEachRow(attrs, [q!, k!, mask], ({ firstKey, scores }) => {
    const most = scores.reduce<number>((m, s) => (s === undefined ? m : Math.max(m, s)), Number.NEGATIVE_INFINITY)
    const weights = scores.map((s) => (s === undefined ? 0 : Math.exp(s - most)))
    const sum = weights.reduce((x, y) => x + y, 0)
    const empty = scores.every((s) => s === undefined)
    for (let c = 0; c < width; c++) {
      let total = 0
      for (const [key, w] of weights.entries()) if (scores[key] !== undefined) total += w * values[(firstKey + key) * width + c]!
      result.push(empty ? 0 : total / sum)
    }
    logSums.push(empty ? Number.POSITIVE_INFINITY : most + Math.log(sum))
  })
  return [result, logSums]
}

export const attentionGrad: RoutineMeaning<'attentionGrad'> = (attrs, [g, q, k, v, y, logSums, mask]) => {
  const [size, width] = [q!.shape.at(-1)!, v!.shape.at(-1)!]
  const [above, queries, keys, values, result, sums] = [g!, q!, k!, v!, y!, logSums!].map(numbers) as readonly (readonly number[])[]
  const [forQueries, forKeys, forValues] = [queries!, keys!, values!].map((x) => x.map(() => 0)) as [number[], number[], number[]]
  forEachRow(attrs, [q!, k!, mask], ({ query, firstKey, scores }) => {
    let common = 0
    for (let c = 0; c < width; c++) common += above![query * width + c]! * result![query * width + c]!
    scores.forEach((score, i) => {
      if (score === undefined) return
      const key = firstKey + i
      const weight = Math.exp(score - sums![query]!)
      let ofWeight = 0
      for (let c = 0; c < width; c++) {
        ofWeight += above![query * width + c]! * values![key * width + c]!
        forValues[key * width + c]! += weight * above![query * width + c]!
      }
      const slope = weight * (ofWeight - common) * attrs.scale
      for (let c = 0; c < size; c++) {
        forQueries[query * size + c]! += slope * keys![key * size + c]!
        forKeys[key * size + c]! += slope * queries![query * size + c]!
      }
    })
  })
  return [forQueries, forKeys, forValues]
}
