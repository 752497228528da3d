import { describe, expect, it } from 'vitest'
import { checkImports, cycles, importsOf } from './import-rules.ts'

const check = (files: Record<string, string>) =>
  checkImports({ files: new Map(Object.entries(files)), dependencies: new Map([['packages/core', ['allowed', '@scope/allowed']]]) })

const inCore = (path: string, source: string) => check({ [`packages/core/src/${path}`]: source })

describe('importsOf', () => {
  it('finds every way to name a module, with its kind and line', () => {
    const source = [
      "import type { A } from './a.ts'",
      'import {',
      '  type B,',
      "} from './b.ts'",
      "export * from './c.ts'",
      "export type { D } from './d.ts'",
      "const e = () => import('./e.ts')",
      "type F = import('./f.ts').F",
      "import './g.ts'",
    ].join('\n')
    expect(importsOf(source, 'x.ts')).toEqual([
      { from: './a.ts', kind: 'type', line: 1 },
      { from: './b.ts', kind: 'static', line: 2 },
      { from: './c.ts', kind: 'static', line: 5 },
      { from: './d.ts', kind: 'type', line: 6 },
      { from: './e.ts', kind: 'dynamic', line: 7 },
      { from: './f.ts', kind: 'type', line: 8 },
      { from: './g.ts', kind: 'static', line: 9 },
    ])
  })

  it('is not misled by comments, strings and templates', () => {
    const source = "// import './a.ts'\n/* export * from './b.ts' */ const s = \"import './c.ts'\" + `import './d.ts'`"
    expect(importsOf(source, 'x.ts')).toEqual([])
  })
})

describe('the page of a package', () => {
  const dependencies = new Map([
    ['packages/cli', ['commander']],
    ['packages/cli/ui', ['preact']],
  ])
  const inPackage = (path: string, source: string) => checkImports({ files: new Map([[`packages/cli/${path}`, source]]), dependencies })

  it('may import what is only there to be bundled, and the rest of its package may not', () => {
    const source = "import { render } from 'preact'; import { Command } from 'commander'\nexport const view = <p>{render}{Command}</p>"
    expect(inPackage('ui/main.tsx', source)).toEqual([])
    expect(inPackage('src/main.tsx', source)).toEqual([expect.stringContaining('packages/cli does not depend on preact')])
  })
})

describe('rooms', () => {
  it.each([
    ['shape.ts', "import { a } from './dtype.ts'"],
    ['engine/kernel.ts', "import { a } from '../dtype.ts'"],
    ['engine/wasm/emit.ts', "import { a } from '../kernel.ts'; import { b } from './opcodes.ts'"],
    ['op/exp.ts', "import { Tensor } from '../tensor/tensor.ts'"],
    ['tensor/tensor.ts', "import type { Methods } from '../op/methods.ts'"],
    ['tensor/tensor.ts', "import { tape } from '../autograd/tape.ts'"],
    ['nn/linear.ts', "import { Tensor } from '../tensor/tensor.ts'; import { check } from '../errors.ts'"],
    ['index.ts', "export * from './engine/wasm/engine.ts'"],
    ['index.node.ts', "import 'node:fs'; export * from './engine/wasm/engine.ts'"],
    ['data/files.node.ts', "import { readFileSync } from 'node:fs'"],
    ['nn/linear.test.ts', "import 'node:fs'; import 'vitest'; import '../tensor/storage.ts'"],
    ['io/zip.ts', "import 'allowed/sub'; import '@scope/allowed/sub'"],
  ])('lets %s have %s', (path, source) => {
    expect(inCore(path, source)).toEqual([])
  })

  it.each([
    ['shape.ts', "import type { Kernel } from './engine/kernel.ts'", 'leaf may not import engine'],
    ['engine/engine.ts', "import { a } from './wasm/engine.ts'", 'engine may not import engine/*'],
    ['engine/wasm/emit.ts', "import { a } from '../reference/engine.ts'", 'one engine imports another'],
    ['engine/wasm/emit.ts', "import type { Op } from '../../op/define.ts'", 'engine/* may not import op'],
    ['tensor/tensor.ts', "import { exp } from '../op/exp.ts'", 'may only `import type`'],
    ['op/exp.ts', "import { Linear } from '../nn/linear.ts'", 'op may not import nn'],
    ['tensor/tensor.ts', "import { wasm } from '../engine/wasm/engine.ts'", 'tensor may not import engine/*'],
    ['tensor/tensor.ts', "import { Linear } from '../nn/index.ts'", 'tensor may not import nn'],
    ['nn/linear.ts', "import { tensor } from '../index.ts'", 'which is for users'],
    ['nn/linear.ts', "import 'node:fs'", 'outside a *.node.ts file'],
    ['nn/linear.ts', "import 'lodash'", 'packages/core does not depend on lodash'],
    ['novel/thing.ts', "import '../dtype.ts'", 'is in no room'],
    ['nn/linear.ts', "import '../../../serve/src/index.ts'", 'leaves its package'],
  ])('refuses %s having %s', (path, source, problem) => {
    expect(inCore(path, source)).toEqual([expect.stringContaining(problem)])
  })
})

describe('cycles', () => {
  it('reports a circle of loading modules once, and ignores type and dynamic imports', () => {
    const a = 'packages/core/src/a.ts'
    const b = 'packages/core/src/b.ts'
    expect(check({ [a]: "import './b.ts'", [b]: "export * from './a.ts'" })).toEqual([`import cycle: ${a} -> ${b} -> ${a}`])
    expect(check({ [a]: "import './b.ts'", [b]: "import type { A } from './a.ts'; const f = () => import('./a.ts')" })).toEqual([])
  })

  it('finds each group in a larger graph', () => {
    const graph = { a: ['b'], b: ['c', 'd'], c: ['a'], d: ['e'], e: ['e'], f: ['a', 'd'] }
    expect(cycles(new Map(Object.entries(graph)))).toEqual([
      ['e', 'e'],
      ['a', 'b', 'c', 'a'],
    ])
  })
})
