// Builds the board's page: packages/cli/ui to one folder of static files.
import { join } from 'node:path'
import { build } from 'vite'

const root = join(import.meta.dirname, '..', 'packages', 'cli', 'ui')

/** Where the command looks for the page. */
export const builtPage = join(root, '..', 'dist', 'ui')

/** @param outDir where to; emptied first. */
export async function buildPage(outDir: string, { minify = true } = {}): Promise<void> {
  await build({
    root,
    configFile: false,
    logLevel: 'warn',
    // Addresses are relative to the page: it may be served from below a proxy's path.
    base: './',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: { outDir, emptyOutDir: true, minify, target: 'es2022', modulePreload: { polyfill: false }, assetsInlineLimit: 0 },
  })
}
