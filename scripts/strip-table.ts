import type { Plugin } from 'rolldown'
import { parseAst } from 'rolldown/parseAst'

interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

interface Property extends Node {
  readonly key?: { readonly name?: string }
}

/** What ops say about themselves to tests and docs only. */
const dropped = ['samples', 'doc']

/** Leaves the samples and docs of the op table out of what is shipped: a tenth of a small program. */
export function stripTable(): Plugin {
  return {
    name: 'strip-table',
    transform: {
      filter: { id: /\/src\/op\/[^/]*\.ts$/ },
      handler(code) {
        const cuts: (readonly [start: number, end: number])[] = []
        visit(parseAst(code, { lang: 'ts' }), (object) => {
          const properties = object.properties as readonly Property[]
          if (!properties.some((p) => p.key?.name === 'samples')) return
          properties.forEach((p, i) => {
            if (!dropped.includes(p.key?.name ?? '')) return
            cuts.push(i + 1 < properties.length ? [p.start, properties[i + 1]!.start] : [properties[i - 1]?.end ?? p.start, p.end])
          })
        })
        // Blanks instead of nothing, so that positions stay and source maps hold.
        let rest = code
        for (const [start, end] of cuts) rest = rest.slice(0, start) + rest.slice(start, end).replace(/[^\n]/g, ' ') + rest.slice(end)
        return { code: rest, map: null }
      },
    },
  }
}

function visit(node: unknown, onObject: (object: Node) => void): void {
  if (typeof node !== 'object' || node === null) return
  if (!Array.isArray(node) && (node as Node).type === 'ObjectExpression') onObject(node as Node)
  for (const child of Object.values(node)) visit(child, onObject)
}
