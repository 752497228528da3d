import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const program = join(import.meta.dirname, 'fixtures', 'fits-until-interrupted.ts')

/** Runs the program, and presses Ctrl-C when it has begun. */
function interrupted(): Promise<{ code: number | null; signal: string | null; output: string }> {
  const child = spawn(process.execPath, [...process.execArgv, program], { stdio: ['ignore', 'pipe', 'inherit'] })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += String(chunk)
    if (output === 'begun\n') child.kill('SIGINT')
  })
  return new Promise((resolve) => child.on('close', (code, signal) => resolve({ code, signal, output })))
}

test.skipIf(process.platform === 'win32')('Ctrl-C ends a training, and the program goes on with what there is', async () => {
  expect(await interrupted()).toEqual({ code: 0, signal: null, output: 'begun\ninterrupted true\n' })
})
