import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const start = (file: string, ...args: string[]) =>
  spawnSync(process.execPath, [...process.execArgv, join(import.meta.dirname, file), ...args], { encoding: 'utf8' })

function run(file: string, ...args: string[]): string {
  const { status, stdout, stderr } = start(file, ...args)
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

test.runIf(existsSync('/usr/share/datasets/fashion-mnist'))('Fashion-MNIST, in its short form', () => {
  expect(Number(/^test accuracy ([\d.]+)/m.exec(run('fashion-mnist.ts', '--short'))![1])).toBeGreaterThan(0.4)
})

test('Fashion-MNIST that is not there is asked for', () => {
  const { status, stderr } = start('fashion-mnist.ts', '--data', 'nowhere')
  expect(status).not.toBe(0)
  expect(stderr).toContain('apt install dataset-fashion-mnist')
})

test('a character model of a text', () => {
  const text = join(import.meta.dirname, '..', 'ARCHITECTURE.md')
  expect(run('char-lm.ts', '--short', '--text', text)).toMatch(/^perplexity \d+\.\d+ a letter/m)
})

const peers = process.env.COTANGENT_PEERS
test.runIf(peers && existsSync(join(peers, 'node_modules', '@stdlib', 'datasets-spam-assassin')))('spam, in its short form', () => {
  expect(Number(/ROC curve ([\d.]+)/.exec(run('spam.ts', '--short'))![1])).toBeGreaterThan(0.6)
})
