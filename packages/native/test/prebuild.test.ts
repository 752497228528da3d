import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { loaded } from './engines.ts'

const [scratch, empty] = ['prebuild-', 'install-'].map((name) => mkdtempSync(join(tmpdir(), name))) as [string, string]
afterAll(() => [scratch, empty].forEach((folder) => rmSync(folder, { recursive: true })))

const root = join(import.meta.dirname, '..')
const platform = `${process.platform}-${process.arch}`

/** Loads the addon in a process of its own; the libraries that it came with. */
function load(script: string): { result: string; libraries: string[] } {
  const program = `${script}; console.log(JSON.stringify({ result, libraries: process.report.getReport().sharedObjects }))`
  const env = { ...process.env, NODE_OPTIONS: '' }
  return JSON.parse(execFileSync(process.execPath, ['-e', program], { encoding: 'utf8', cwd: scratch, env }))
}

// It compiles, which takes a busy machine a while.
it.skipIf(!loaded || process.platform !== 'linux')('the package of a platform brings all that it needs', { timeout: 120_000 }, () => {
  execFileSync(process.execPath, [join(root, 'scripts/prebuild.mjs'), scratch], { encoding: 'utf8' })
  const made = join(scratch, `native-${platform}`)
  const { name, files } = JSON.parse(readFileSync(join(made, 'package.json'), 'utf8'))
  expect(name).toBe(`@cotangent/native-${platform}`)
  expect(readdirSync(made).sort()).toEqual([...files, 'package.json'].sort())
  expect(files).toContainEqual(expect.stringMatching(/^libdnnl\.so/))
  // Where npm would put it. Its own libraries count, not the system's.
  const modules = join(scratch, 'node_modules/@cotangent')
  mkdirSync(modules, { recursive: true })
  cpSync(made, join(modules, `native-${platform}`), { recursive: true })
  const { result, libraries } = load(`const result = require('@cotangent/native-${platform}/cotangent-native.node').info().version`)
  expect(result).toMatch(/^\d+\.\d+\.\d+$/)
  const bundled = libraries.filter((file) => files.some((own: string) => file.endsWith(`/${own}`)))
  expect(bundled.length).toBeGreaterThanOrEqual(2)
  for (const file of bundled) expect(file).toContain(scratch)
})

it('an install without a compiler or without oneDNN says so in one line, and goes on', () => {
  // A copy, so that nothing that was built counts.
  const copy = join(empty, 'copy')
  for (const part of ['cpp', 'scripts', 'package.json']) cpSync(join(root, part), join(copy, part), { recursive: true })
  symlinkSync(join(root, '../../node_modules'), join(copy, 'node_modules'))
  const fake = join(empty, 'compiler')
  writeFileSync(fake, `#!/bin/sh\necho "onednn.h:4:10: fatal error: dnnl.hpp: No such file or directory" >&2\nexit 1\n`, { mode: 0o755 })
  const install = (compiler: string) =>
    execFileSync(process.execPath, [join(copy, 'scripts/install.mjs')], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, CXX: compiler, NODE_OPTIONS: '' },
    }).trim()
  expect(install('no-such-compiler')).toMatch(
    /^@cotangent\/native: not built, there is no C\+\+ compiler \(no-such-compiler\); install it with: .* \(.*\)$/,
  )
  expect(install(fake)).toMatch(/^@cotangent\/native: not built, oneDNN is not installed; install it with: .* \(.*\)$/)
})
