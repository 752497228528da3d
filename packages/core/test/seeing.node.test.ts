import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { saveDrawing, saveTrace } from '../src/index.node.ts'
import { compile, normal, profile, type Tensor } from '../src/index.ts'

test('profiles and drawings go to files', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'cotangent-'))
  try {
    const f = compile((x: Tensor) => x.exp())
    const seen = profile(() => f(normal([4]) as Tensor))
    await saveTrace(join(folder, 'trace.json'), seen)
    expect(JSON.parse(await readFile(join(folder, 'trace.json'), 'utf8'))).toHaveProperty('traceEvents')
    await saveDrawing(join(folder, 'graph.html'), f)
    expect(await readFile(join(folder, 'graph.html'), 'utf8')).toMatch(/^<!doctype html>/)
  } finally {
    await rm(folder, { recursive: true })
  }
})
