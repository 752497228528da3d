import { execFile } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'
import { loaded } from './engines.ts'
import { multiply, run } from './processes.ts'

const scratch = mkdtempSync(join(tmpdir(), 'native-'))
afterAll(() => rmSync(scratch, { recursive: true }))

describe('an addon that cannot be used is said once, and the engine computes', () => {
  const said = /^Cotangent computes without @cotangent\/native: its addon does not load \((.*)\); run: npm rebuild @cotangent\/native$/
  /** What is said about the addon in a file. */
  async function reasonFor(file: string): Promise<string | undefined> {
    const { stdout, stderr } = await run(multiply, { COTANGENT_NATIVE_BINARY: file })
    expect(stdout.trim()).toBe('[[19,22],[43,50]]')
    expect(stderr.trim()).toMatch(said)
    return said.exec(stderr.trim())?.[1]
  }
  const written = (name: string, content: string) => {
    const file = join(scratch, name)
    writeFileSync(file, content)
    return file
  }

  it.each([
    ['is no library', () => written('rubbish.node', 'rubbish'), /rubbish\.node: file too short|header/],
    ['is empty', () => written('empty.node', ''), /empty\.node: file too short/],
    ['is not there', () => join(scratch, 'nowhere.node'), /^Cannot find module '.*nowhere\.node'$/],
  ])('one that %s', async (_, file, reason) => {
    expect(await reasonFor(file())).toMatch(reason)
  })

  it.skipIf(!loaded || process.platform !== 'linux')('one that was built for another Node', async () => {
    const source = `
      struct { int version; unsigned flags; void *handle; const char *file; void *init, *initWithContext; const char *name; void *data, *next; }
        module = {93, 0, 0, "old.c", 0, 0, "old", 0, 0};
      extern void node_module_register(void *);
      __attribute__((constructor)) static void init(void) { node_module_register(&module); }`
    const output = join(scratch, 'old.node')
    await promisify(execFile)(process.env.CC || 'cc', ['-shared', '-fPIC', '-o', output, written('old.c', source)])
    expect(await reasonFor(output)).toMatch(/compiled against a different Node\.js version/)
  })

  it('one that was built from other sources', async () => {
    expect(await reasonFor(written('older.cjs', 'module.exports = { protocol: 1, info() {} }'))).toMatch(/built from other sources/)
  })

  it('one that was never built, and none at all', async () => {
    // A project whose packages are links to these; what is not built is a copy.
    const modules = join(scratch, 'project/node_modules')
    const own = join(modules, '@cotangent/native')
    mkdirSync(own, { recursive: true })
    symlinkSync(join(import.meta.dirname, '../../core'), join(modules, 'cotangent'))
    for (const part of ['src', 'package.json']) cpSync(join(import.meta.dirname, '..', part), join(own, part), { recursive: true })
    const program = written('project/program.mjs', multiply)
    // Node itself strips no types below node_modules.
    const flags = ['--preserve-symlinks', '--preserve-symlinks-main', '--conditions=source', '--import', 'tsx']
    const start = () =>
      promisify(execFile)(process.execPath, [...flags, program], {
        env: { ...process.env, COTANGENT_NATIVE: 'all', NODE_OPTIONS: '' },
      })
    const unbuilt = await start()
    expect(unbuilt.stdout.trim()).toBe('[[19,22],[43,50]]')
    expect(unbuilt.stderr.trim()).toMatch(
      /^Cotangent computes without @cotangent\/native: its addon is not built; install .*, then run: npm rebuild.*$/,
    )
    rmSync(own, { recursive: true })
    expect(await start()).toMatchObject({ stdout: unbuilt.stdout, stderr: '' })
  })
})
