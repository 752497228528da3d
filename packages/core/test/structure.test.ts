import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { expect, test } from 'vitest'
import { bundle, bundleByEsbuild } from './bundle.ts'

const packageFolder = join(import.meta.dirname, '..')

const sources = readdirSync(join(packageFolder, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((file) => file.endsWith('.ts') && !/\.test(-d)?\.ts$/.test(file))
  .map((file) => ({ file, text: readFileSync(join(packageFolder, 'src', file), 'utf8') }))

const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, '')

/** Ops that are one scalar expression each, and no scalar instruction of an engine. */
const simpleOps = ['asinh', 'gelu', 'mish', 'softplus', 'hardSwish', 'rad2deg', 'logit', 'celu', 'xlogy', 'copysign', 'sinc', 'logAddExp']

test.each(simpleOps)('at most 3 source files name the op %s', (name) => {
  const naming = sources.filter(({ text }) => new RegExp(`\\b${name}\\b`).test(withoutComments(text))).map(({ file }) => file)
  // Modules that are the op in other clothes (nn.GELU is a class) do not count as places to touch: they only call it.
  const declaring = naming.filter((file) => !file.startsWith('nn') && !file.startsWith('shape-types'))
  expect(declaring.length, declaring.join(', ')).toBeGreaterThan(0)
  expect(declaring.length, declaring.join(', ')).toBeLessThanOrEqual(3)
})

test.each(['sin', 'atan', 'log1p', 'expm1'])('at most 3 source files declare the scalar instruction %s', (name) => {
  // Its meaning and derivative, the op, and its line in the emitting engine; other ops may call it.
  const declaring = sources
    .filter(({ text }) => new RegExp(`\\b${name}:|\\b${name} =|'${name}'`).test(withoutComments(text)))
    .map(({ file }) => file)
  expect(declaring).toContain(join('engine', 'scalar.ts'))
  expect(declaring.length, declaring.join(', ')).toBeLessThanOrEqual(3)
})

test('nothing is installed with the package', () => {
  const manifest = JSON.parse(readFileSync(join(packageFolder, 'package.json'), 'utf8')) as Record<string, unknown>
  for (const field of ['dependencies', 'optionalDependencies', 'peerDependencies', 'bundleDependencies', 'scripts']) {
    expect(Object.keys(manifest[field] ?? {}), field).toEqual([])
  }
})

test('only files for Node import its modules', () => {
  const importing = sources.filter(({ file, text }) => !file.includes('node') && /(from|import\() ?'node:/.test(withoutComments(text)))
  expect(importing.map(({ file }) => file)).toEqual([])
})

test('a small program stays small', async () => {
  const { code, modules } = await bundle(`
    import { tensor, nn } from 'cotangent'
    const layer = new nn.Linear(4, 2)
    layer.forward(tensor([[1, 2, 3, 4]])).sum().backward()
    console.log(layer.weight.grad)`)
  // Half is the emitter of Wasm code, a third the ops, most of which are methods of Tensor.
  expect(gzipSync(code).length / 1000).toBeLessThan(80)
  // What nobody asks for: rooms above the ops, other engines, what only Node adds, code of routines that no method makes, of compiled programs.
  const unasked =
    /src\/(data|train|io|graph|optim|transform|vision|models|program|engine\/reference)\/|host\.node|wasm\/(attention|backend|conv|gemv-bytes|linked|packed|recurrent|tuner|window)/
  const kept = Object.entries(modules).filter(([id, { renderedLength }]) => renderedLength > 0 && unasked.test(id))
  expect(
    kept.reduce((sum, [, m]) => sum + m.renderedLength, 0),
    kept.map(([id]) => id).join(', '),
  ).toBeLessThan(1500)
})

test('a small program stays small with another bundler', async () => {
  // esbuild keeps all of a namespace that another module exports, so `nn` has to be imported as one here.
  const code = await bundleByEsbuild(`
    import { tensor } from 'cotangent'
    import * as nn from 'cotangent/nn'
    const layer = new nn.Linear(4, 2)
    layer.forward(tensor([[1, 2, 3, 4]])).sum().backward()
    console.log(layer.weight.grad)`)
  expect(gzipSync(code).length / 1000).toBeLessThan(84)
})

test.each([
  ['cast', 0],
  ['quantize', 1],
])('products of bytes are exact where %s makes the bytes, and bring their code along with quantised numbers', async (maker, least) => {
  const { code, modules } = await bundle(`
    import { tensor, quantize } from 'cotangent'
    const cast = (values) => tensor(values).cast('int8')
    const quantized = (values) => quantize(tensor(values), { scale: 1 })
    const bytes = ${maker === 'cast' ? 'cast' : 'quantized'}
    const rows = [[1, -2, 3, 127], [127, 127, -128, -128]]
    const columns = [[100], [-128], [127], [-127]]
    console.log(JSON.stringify(bytes(rows).matmul(bytes(columns), { dtype: 'int32' }).toArray()))`)
  const kept = Object.entries(modules).reduce((sum, [id, m]) => sum + (id.endsWith('gemv-bytes.ts') ? m.renderedLength : 0), 0)
  expect(Math.sign(kept)).toBe(least)
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-'], { input: code, encoding: 'utf8' })
  expect(stdout, stderr).toBe('[[-15392],[-3556]]\n')
})
