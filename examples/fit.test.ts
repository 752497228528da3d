import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...process.execArgv, join(import.meta.dirname, file), ...args], {
    encoding: 'utf8',
  })
  expect(status, stderr).toBe(0)
  return stdout
}

test('iris: nearly all flowers are told apart', () => {
  const output = run('iris.ts')
  expect(Number(/^accuracy ([\d.]+)/m.exec(output)![1])).toBeGreaterThan(0.9)
  expect(output).toContain('true \\ predicted')
})

test('MNIST by fit, in its short form', () => {
  expect(run('mnist-fit.ts', '--short')).toMatch(/^epoch 1\/1 {2}loss .* valAccuracy 0\.[5-9]/m)
})
