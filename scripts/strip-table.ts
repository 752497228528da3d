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

/** What declarations of ops, all of which have a `doc`, say to tests and docs only. */
const dropped = ['doc', 'samples', 'domain', 'secondDomain', 'domains', 'variants']

/** Leaves the samples and docs of the op table out of what is shipped: a fourteenth of a small program. */
export function stripTable(): Plugin {
  return {
    name: 'strip-table',
    transform: {
      filter: { id: /\/src\/op\/[^/]*\.ts$/ },
      handler(code) {
        const cuts: (readonly [start: number, end: number])[] = []
        visit(parseAst(code, { lang: 'ts' }), (object) => {
          const properties = object.properties as readonly Property[]
          if (!properties.some((p) => p.key?.name === 'doc')) return
          properties.forEach((p, i) => {
            if (!dropped.includes(p.key?.name ?? '')) return
            // With the comma behind it, which objects may end in.
            cuts.push([p.start, properties[i + 1]?.start ?? p.end + /^[\s,]*/.exec(code.slice(p.end))![0].length])
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
