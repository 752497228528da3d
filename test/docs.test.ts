import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'

const root = join(import.meta.dirname, '..')
/** Inside the repository, so that examples resolve `cotangent` as a reader's program does. */
const folder = join(root, 'node_modules', '.cotangent-docs')

interface Example {
  /** `README.md:12` */
  readonly place: string
  readonly file: string
  readonly code: string
}

const pages = [
  ...readdirSync(root),
  ...['docs', 'bench', 'packages/core', 'packages/core/docs'].flatMap((name) =>
    existsSync(join(root, name)) ? readdirSync(join(root, name)).map((file) => join(name, file)) : [],
  ),
].filter((file) => file.endsWith('.md'))

/** All complete programs in the pages: blocks of TypeScript that import the library. */
const examples = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8')
  return [...text.matchAll(/^```ts\n([\s\S]*?)^```/gm)].flatMap((match): Example[] => {
    const code = match[1]!
    if (!/from 'cotangent/.test(code)) return []
    const line = text.slice(0, match.index).split('\n').length
    return [{ place: `${page}:${line}`, file: join(folder, `${page.replace(/\W/g, '-')}-${line}.ts`), code }]
  })
})

beforeAll(() => {
  mkdirSync(folder, { recursive: true })
  // An empty export makes it a module, so that it may await.
  for (const { file, code } of examples) writeFileSync(file, `${code}\nexport {}\n`)
})
afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

test('there are examples', () => {
  expect(examples.length, 'programs in the pages').toBeGreaterThan(0)
})

test('the examples type-check', () => {
  const require = createRequire(import.meta.url)
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const config = join(folder, 'tsconfig.json')
  writeFileSync(
    config,
    JSON.stringify({ extends: join(root, 'tsconfig.base.json'), compilerOptions: { noEmit: true, types: ['node'] }, include: ['*.ts'] }),
  )
  let report = ''
  try {
    execFileSync(process.execPath, [tsc, '-p', config], { cwd: folder, encoding: 'utf8' })
  } catch (error) {
    report = (error as { stdout: string }).stdout
  }
  expect(report).toBe('')
}, 60_000)

test.each(examples)(
  '$place runs',
  async ({ file }) => {
    const log = vi.spyOn(console, 'log').mockImplementation(() => {})
    try {
      await expect(import(/* @vite-ignore */ pathToFileURL(file).href)).resolves.toBeDefined()
    } finally {
      log.mockRestore()
    }
  },
  60_000,
)
