import { fileURLToPath } from 'node:url'
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
