// Builds every package that publishes sources: one ES module for each `source` of its exports, shared chunks, declarations.
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { type Plugin, rolldown } from 'rolldown'
import { buildPage, builtPage } from './build-page.ts'
import { documentTable } from './document-table.ts'
import { stripTable } from './strip-table.ts'

type Target = string | { [condition: string]: Target }

const root = join(import.meta.dirname, '..')
const require = createRequire(import.meta.url)
const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')

for (const name of readdirSync(join(root, 'packages'))) {
  const folder = join(root, 'packages', name)
  if (existsSync(join(folder, 'tsconfig.build.json'))) await build(folder)
  if (name === 'cli') await buildPage(builtPage)
}

async function build(folder: string): Promise<void> {
  const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { name: string; exports: Target; imports?: Target }
  const input = Object.fromEntries([manifest.exports, manifest.imports ?? {}].flatMap(entries))
  const dist = join(folder, 'dist')
  rmSync(dist, { recursive: true, force: true })
  const bundle = await rolldown({
    cwd: folder,
    input,
    platform: 'neutral',
    external: /^(node:|[^./])/,
    treeshake: { moduleSideEffects: true },
    plugins: [stripTable(), keepNamespaces(folder, input)],
  })
  const { output } = await bundle.write({
    dir: dist,
    format: 'esm',
    sourcemap: true,
    entryFileNames: '[name].js',
    chunkFileNames: 'chunks/[name]-[hash].js',
    // Docs are in the declarations.
    comments: { jsdoc: false },
    // Node takes most of a millisecond a file, so what the entries of the core share is one; and one more what only those around training
    // share, which the others go without. Those of other packages keep their libraries apart.
    codeSplitting: { groups: manifest.name === 'cotangent' ? [{ name: sharedChunk, minShareCount: 2 }] : [] },
  })
  await bundle.close()
  execFileSync(process.execPath, [tsc, '-p', join(folder, 'tsconfig.build.json')], { stdio: 'inherit' })
  if (manifest.name === 'cotangent') await documentTable(folder)
  for (const file of output) {
    if (file.type === 'chunk') console.log(`${relative(root, join(dist, file.fileName))}  ${(file.code.length / 1024).toFixed(1)} KiB`)
  }
}

/** Pairs of an output's name in dist and its source, for every condition of every subpath that has both. */
function entries(target: Target): [name: string, source: string][] {
  if (typeof target === 'string') return []
  const { source, default: built } = target
  const own: [string, string][] =
    typeof source === 'string' && typeof built === 'string' ? [[built.replace(/^\.\/dist\/|\.js$/g, ''), source]] : []
  return [...own, ...Object.values(target).flatMap(entries)]
}

function sharedChunk(file: string): string {
  return /\/src\/(train|data|vision)\//.test(file) ? 'training' : 'shared'
}

/**
 * Leaves `export * as nn from './nn/index.ts'` an import of the other entry: bundled into one file, the namespace would be an
 * object that holds on to everything in it.
 */
function keepNamespaces(folder: string, input: Record<string, string>): Plugin {
  const names = new Map(Object.entries(input).map(([name, source]) => [join(folder, source), name]))
  return {
    name: 'keep-namespaces',
    resolveId(source, importer) {
      const from = importer === undefined ? undefined : names.get(importer)
      const to = importer === undefined ? undefined : names.get(join(dirname(importer), source))
      return from === undefined || to === undefined ? undefined : { id: `./${relative(dirname(from), to)}.js`, external: true }
    },
  }
}
