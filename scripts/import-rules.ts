import { posix } from 'node:path'
import { parseAst } from 'rolldown/parseAst'

/**
 * The rooms of packages/core/src and what each may import, besides itself. The first pattern that matches a file's path names
 * its room. `types` may be named in `import type` but not loaded.
 */
interface Room {
  name: string
  files: RegExp
  may: readonly string[]
  types?: readonly string[]
}

/** What everything above the core is written against. */
const publicApi = { may: ['leaf', 'engine', 'tensor', 'autograd', 'op', 'graph'] }

const rooms: readonly Room[] = [
  { name: 'entry', files: /^index(\.node)?\.ts$/, may: ['*'] },
  { name: 'engines', files: /^(engines|host(\.node)?)\.ts$/, may: ['leaf', 'engine', 'engine/*', 'routines'] },
  { name: 'routines', files: /^(routines|sequences)\.ts$/, may: ['leaf', 'engine', 'engine/*'] },
  { name: 'leaf', files: /^([^/]+|shape-types\/[^/]+)$/, may: [] },
  { name: 'engine', files: /^engine\/[^/]+$/, may: ['leaf'] },
  { name: 'engine/*', files: /^engine\/[^/]+\//, may: ['leaf', 'engine'] },
  { name: 'autograd', files: /^autograd\//, may: ['leaf', 'engine', 'tensor'], types: ['op'] },
  { name: 'tensor', files: /^tensor\//, may: ['leaf', 'engine', 'autograd'], types: ['op'] },
  { name: 'op', files: /^op\//, may: ['leaf', 'engine', 'routines', 'tensor', 'autograd'] },
  { name: 'transform', files: /^transform\//, may: ['leaf', 'engine', 'tensor', 'autograd', 'op'] },
  { name: 'graph', files: /^graph\//, may: ['leaf', 'engine', 'routines', 'tensor', 'autograd', 'op'] },
  { name: 'program', files: /^program\//, may: ['leaf', 'engine', 'routines', 'tensor', 'autograd', 'op', 'graph', 'io', 'optim'] },
  { name: 'nn', files: /^nn\//, ...publicApi },
  { name: 'optim', files: /^optim\//, may: [...publicApi.may, 'nn'] },
  { name: 'io', files: /^io\//, may: [...publicApi.may, 'nn', 'optim'] },
  { name: 'vision', files: /^vision\//, ...publicApi },
  { name: 'data', files: /^data\//, may: [...publicApi.may, 'io'] },
  { name: 'models', files: /^models\//, may: [...publicApi.may, 'nn'] },
  { name: 'train', files: /^train\//, may: [...publicApi.may, 'nn', 'optim', 'io', 'data'] },
]

/** Packages and folders that run in Node only, besides `*.node.ts`. */
const nodeOnly = /^(packages\/(native|serve|cli)|examples|scripts|test)\//
const core = 'packages/core/src/'
const isTest = (path: string): boolean => /\.test(-d)?\.ts$|^test\/|\/test\//.test(path)

interface Import {
  from: string
  line: number
  /** `static` runs when the module loads, `dynamic` later, `type` never. */
  kind: 'static' | 'dynamic' | 'type'
}

/** Every import, re-export, `import()` and `import('...').Type` of a TypeScript source. */
export function importsOf(source: string, path: string): Import[] {
  const found: Import[] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    if (Array.isArray(node)) return node.forEach(visit)
    const { type, source: from, start, importKind, exportKind } = node as Record<string, unknown>
    const kind =
      type === 'ImportExpression'
        ? 'dynamic'
        : type === 'TSImportType'
          ? 'type'
          : type === 'ImportDeclaration' || type === 'ExportNamedDeclaration' || type === 'ExportAllDeclaration'
            ? importKind === 'type' || exportKind === 'type'
              ? 'type'
              : 'static'
            : undefined
    const target = (from as { value?: unknown } | null | undefined)?.value
    if (kind && typeof target === 'string') {
      found.push({ from: target, kind, line: source.slice(0, start as number).split('\n').length })
    }
    Object.values(node).forEach(visit)
  }
  visit(parseAst(source, { lang: path.endsWith('x') ? 'tsx' : 'ts' }, path).body)
  return found
}

interface Project {
  /** Sources by path from the repository's root, with `/`. */
  files: ReadonlyMap<string, string>
  /**
   * What each folder's package.json lets its sources import by name; the root's (`''`) is for tests and tools, `packages/NAME/ui` for a web page,
   * which is bundled.
   */
  dependencies: ReadonlyMap<string, readonly string[]>
}

/** Everything wrong with the imports of a project, one line each. */
export function checkImports({ files, dependencies }: Project): string[] {
  const problems: string[] = []
  const graph = new Map<string, string[]>()
  for (const [path, source] of files) {
    const edges: string[] = []
    graph.set(path, edges)
    for (const edge of importsOf(source, path)) {
      const relative = edge.from.startsWith('.')
      const target = relative ? posix.join(posix.dirname(path), edge.from) : edge.from
      const problem = relative ? checkRelative(path, target, edge) : checkBare(path, edge, dependencies)
      if (problem) problems.push(`${path}:${edge.line} ${problem}`)
      if (relative && edge.kind === 'static') edges.push(target)
    }
  }
  return [...problems, ...cycles(graph).map((cycle) => `import cycle: ${cycle.join(' -> ')}`)]
}

function checkRelative(path: string, target: string, edge: Import): string | undefined {
  if (packageOf(path) !== packageOf(target) && !isTest(path)) return `leaves its package for ${target}: import it by the package's name`
  if (!path.startsWith(core) || !target.startsWith(core) || isTest(path)) return undefined
  const [from, to] = [path.slice(core.length), target.slice(core.length)]
  const [room, other] = [roomOf(from), roomOf(to)]
  if (!room) return `is in no room: add ${from.split('/')[0]} to scripts/import-rules.ts`
  if (!other) return `imports ${to}, which is in no room`
  if (other.name === 'entry') return `imports ${to}, which is for users: import the file that defines the name`
  if (room === other) {
    const engine = /^engine\/[^/]+\//.exec(from)?.[0]
    return engine && !to.startsWith(engine) ? `one engine imports another: ${to}` : undefined
  }
  if (room.may.includes('*') || room.may.includes(other.name)) return undefined
  if (room.types?.includes(other.name)) return edge.kind === 'type' ? undefined : `${room.name} may only \`import type\` from ${to}`
  return `${room.name} may not import ${other.name} (${to})`
}

function checkBare(path: string, edge: Import, dependencies: Project['dependencies']): string | undefined {
  if (isTest(path)) return undefined
  if (edge.from.startsWith('node:')) {
    return path.endsWith('.node.ts') || !path.includes('/') || nodeOnly.test(path)
      ? undefined
      : `imports ${edge.from} outside a *.node.ts file`
  }
  const name = edge.from.split('/', edge.from.startsWith('@') ? 2 : 1).join('/')
  const folder = packageOf(path)
  const may = [folder, ...(path.startsWith(`${folder}/ui/`) ? [`${folder}/ui`] : [])].flatMap((place) => dependencies.get(place) ?? [])
  return may.includes(name) ? undefined : `${folder || 'the root'} does not depend on ${name}`
}

const roomOf = (path: string): Room | undefined => rooms.find((room) => room.files.test(path))

/** The folder of the package that a file belongs to; '' for the repository itself. */
export const packageOf = (path: string): string => /^(packages\/[^/]+|examples|bench)(?=\/)/.exec(path)?.[0] ?? ''

/** One cycle for each group of files that load one another (Tarjan's strongly connected components). */
export function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = []
  const order = new Map<string, number>()
  const low = new Map<string, number>()
  const stack: string[] = []
  const visit = (node: string): void => {
    order.set(node, order.size)
    low.set(node, order.get(node)!)
    stack.push(node)
    for (const next of graph.get(node) ?? []) {
      if (!order.has(next)) visit(next)
      if (stack.includes(next)) low.set(node, Math.min(low.get(node)!, low.get(next)!))
    }
    if (low.get(node) !== order.get(node)) return
    const group = new Set(stack.splice(stack.indexOf(node)))
    if (group.size > 1 || graph.get(node)?.includes(node)) found.push(shortestCycle(graph, group, node))
  }
  for (const node of graph.keys()) if (!order.has(node)) visit(node)
  return found
}

/** Breadth first from `start` back to itself within `group`. */
function shortestCycle(graph: ReadonlyMap<string, readonly string[]>, group: ReadonlySet<string>, start: string): string[] {
  const paths = [[start]]
  const seen = new Set<string>()
  for (const path of paths) {
    for (const next of graph.get(path.at(-1)!) ?? []) {
      if (next === start) return [...path, start]
      if (!group.has(next) || seen.has(next)) continue
      seen.add(next)
      paths.push([...path, next])
    }
  }
  return [start]
}
