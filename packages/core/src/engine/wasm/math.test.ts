import { expect, test } from 'vitest'
import { type ScalarOp, scalarOps } from '../scalar.ts'
import { ModuleBuilder } from './assembler.ts'
import type { FunctionBuilder } from './function-builder.ts'
import { expOfNonPositive, type MathFunction, mathFunctions } from './math.ts'
import { VectorCode } from './vector-code.ts'

/** Arithmetic instructions that a function of vectors emits, a multiply-add being two. */
function arithmeticOf(polynomial: MathFunction['polynomial'], arity: number): number {
  const module = new ModuleBuilder()
  const f = module.function('f', { results: ['v128'] })
  const params = Array.from({ length: arity }, () => f.param('v128'))
  const math = new Map(['sin', 'cos', 'tan'].map((name) => [name, module.function(name, { results: ['f64'] })]))
  const code = new VectorCode(f, { module, lanes: 4, relaxed: true, math, helpers: new Map() })
  let count = 0
  const { op } = f
  f.op = (name: Parameters<FunctionBuilder['op']>[0]) => {
    if (name.includes('madd')) count += 2
    else if (/^[fi](32x4|64x2)\.(?!splat|extract|replace|convert)/.test(name)) count += 1
    op.call(f, name)
  }
  code.scope(() => polynomial(code, ...params.map((p) => code.read(p)))())
  return count
}

// What the roofline and the fuser take a function for is what it costs.
test.each(Object.entries(mathFunctions))('the work of %s is the arithmetic of its shortest form', (name, { polynomial }: MathFunction) => {
  const { arity, work } = scalarOps[name as ScalarOp]
  const forms = name === 'exp' ? [polynomial, expOfNonPositive] : [polynomial]
  expect(work).toBe(Math.min(...forms.map((form) => arithmeticOf(form, arity))))
})
