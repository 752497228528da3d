import { resolve } from 'node:path'
import { defaultServerConditions } from 'vite'
import { defineConfig } from 'vitest/config'

// Packages of this repository resolve to their sources: no test waits for a build.
const conditions = ['source', ...defaultServerConditions.filter((c) => c !== 'module')]

// Node before 22.18 cannot load TypeScript by itself, and workers that the library starts do not go through vitest.
const execArgv = process.features.typescript ? ['--conditions=source'] : ['--conditions=source', '--import', 'tsx']

// Optional peers are large and not in the root install: `npm install --prefix DIR apache-arrow sharp @huggingface/hub @julusian/jpeg-turbo@2`, COTANGENT_PEERS=DIR.
const peers = process.env.COTANGENT_PEERS
const alias = peers
  ? [{ find: /^(apache-arrow|sharp|@huggingface\/hub|@julusian\/jpeg-turbo)$/, replacement: `${resolve(peers)}/node_modules/$1` }]
  : []

export default defineConfig({
  resolve: { conditions, alias },
  ssr: { resolve: { conditions } },
  test: {
    include: ['packages/*/{src,test}/**/*.test.ts', 'examples/**/*.test.ts', 'scripts/**/*.test.ts', 'test/**/*.test.ts'],
    // Processes, not threads: the engine starts threads of its own, shares memory between them and must be able to die alone.
    pool: 'forks',
    execArgv,
    // The engines' own code is what tests are about; `COTANGENT_NATIVE=all npm test` runs them with the addon for products of
    // any size, and packages/native has tests of its own.
    env: { COTANGENT_NATIVE: process.env.COTANGENT_NATIVE ?? '0' },
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 20_000,
    teardownTimeout: 5_000,
  },
})
