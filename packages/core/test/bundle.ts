import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { type OutputChunk, rolldown } from 'rolldown'
import { stripTable } from '../../../scripts/strip-table.ts'

/** A program over this package's sources as one minified module, as a user's bundler makes it. */
export async function bundle(program: URL | string): Promise<OutputChunk> {
  const virtual = '\0program'
  const build = await rolldown({
    input: typeof program === 'string' ? virtual : fileURLToPath(program),
    cwd: import.meta.dirname,
    platform: 'neutral',
    external: /^node:/,
    resolve: { conditionNames: ['source', 'import', 'default'] },
    plugins: [
      stripTable(),
      {
        name: 'program',
        resolveId: (id) =>
          id === virtual ? id : id === 'cotangent' ? fileURLToPath(new URL('../src/index.ts', import.meta.url)) : undefined,
        load: (id) => (id === virtual ? String(program) : undefined),
      },
    ],
  })
  try {
    const { output } = await build.generate({ format: 'esm', minify: true, codeSplitting: false })
    return output[0]
  } finally {
    await build.close()
  }
}

/** The same by esbuild, of the package as it is published: JavaScript without the samples and docs of the op table. */
export async function bundleByEsbuild(program: string): Promise<string> {
  const folder = fileURLToPath(new URL('../src/', import.meta.url))
  const library = await rolldown({
    input: { cotangent: `${folder}index.ts`, 'cotangent/nn': `${folder}nn/index.ts` },
    platform: 'neutral',
    external: /^node:/,
    resolve: { conditionNames: ['source', 'import', 'default'] },
    plugins: [stripTable()],
  })
  const { output } = await library.generate({ format: 'esm', entryFileNames: '[name].js', chunkFileNames: '[name].js' })
  await library.close()
  const files = new Map(output.map((file) => [file.fileName, file.type === 'chunk' ? file.code : '']))
  const { outputFiles } = await build({
    stdin: { contents: program },
    bundle: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    write: false,
    plugins: [
      {
        name: 'library',
        setup(build) {
          build.onResolve({ filter: /^(cotangent|\.)/ }, ({ path }) => ({
            path: path.startsWith('.') ? path.replace(/^[./]+/, '') : `${path}.js`,
            namespace: 'library',
          }))
          build.onLoad({ filter: /.*/, namespace: 'library' }, ({ path }) => ({ contents: files.get(path)! }))
        },
      },
    ],
  })
  return outputFiles[0]!.text
}
