import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { run } from '../src/command.ts'
import type { Diagnosis } from '../src/doctor.ts'

async function command(...args: string[]): Promise<{ status: number; out: string; error: string }> {
  let [out, error] = ['', '']
  const stop = AbortSignal.abort()
  const status = await run(args, { out: (text) => (out += text), error: (text) => (error += text), stop })
  return { status, out, error }
}

describe('the command line', () => {
  test('helps', async () => {
    const { status, out } = await command('--help')
    expect(status).toBe(0)
    expect(out).toMatch(/board.*<dir>[\s\S]*doctor/)
    expect((await command('board', '--help')).out).toMatch(/--port <number>[\s\S]*--host[\s\S]*--open[\s\S]*cotangent board runs/)
    expect((await command('--version')).out).toMatch(/^\d+\.\d+\.\d+\n$/)
  })

  test.each([
    [['bord', 'x'], /unknown command 'bord'[\s\S]*Did you mean board/],
    [['board'], /missing required argument 'dir'/],
    [['board', '.', '--port', '70000'], /whole number from 0 to 65535/],
    [['board', '.', '--colour'], /unknown option '--colour'/],
  ])('%j is an error that says what to do', async (args, words) => {
    const { status, error } = await command(...args)
    expect(status).toBe(1)
    expect(error).toMatch(words)
  })

  test('a folder that is not there is one line, not a stack', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'cotangent-cli-'))
    rmSync(folder, { recursive: true })
    const { status, error } = await command('board', folder, '--port', '0')
    expect(status).toBe(1)
    expect(error).toMatch(/^error: board: .+\n$/)
  })

  test('the doctor tells of engines, native code and accelerators, in words and as JSON', async () => {
    const words = await command('doctor')
    expect(words.status).toBe(0)
    expect(words.out).toMatch(/yes {2}wasm +.* \d+ threads?; SIMD/)
    expect(words.out).toMatch(/(yes| no) {2}@cotangent\/native/)
    expect(words.out).toMatch(/NVIDIA GPU/)
    const diagnosis = JSON.parse((await command('doctor', '--json')).out) as Diagnosis
    expect(diagnosis.engines.map(({ name, ok }) => [name, ok])).toEqual([
      ['wasm', true],
      ['reference', true],
    ])
    expect(diagnosis.gflops).toBeGreaterThan(0)
  })
})
