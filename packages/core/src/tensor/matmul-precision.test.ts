import { compile, CotangentError, grad, matmulPrecision, setEngine, setMatmulPrecision, type Tensor, uniform } from 'cotangent'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Engine, Program, Sequence } from '../engine/engine.ts'
import { currentEngine } from '../engine/registry.ts'
import type { Routine } from '../engine/routine.ts'

beforeEach(() => setEngine('wasm'))
afterEach(() => setMatmulPrecision('highest'))

/** The precisions of all products that an engine is asked to prepare meanwhile. */
function precisionsIn(body: () => void): (string | undefined)[] {
  const engine = currentEngine() as Engine & { prepare: Engine['prepare'] }
  const found: (string | undefined)[] = []
  const own = engine.prepare
  const look = (program: Program) => {
    if (program.kind === 'routine' && program.name === 'matmul') found.push((program as Routine<'matmul'>).attrs.precision)
  }
  engine.prepare = function (program: Program | Sequence) {
    if (program.kind === 'sequence') for (const step of program.steps) look(step.program)
    else look(program)
    return own.call(engine, program)
  }
  try {
    body()
  } finally {
    engine.prepare = own
  }
  return found
}

test('is part of float32 products and of their gradients', () => {
  expect(matmulPrecision()).toBe('highest')
  const f = (a: Tensor): Tensor => a.matmul(a.transpose()).sum()
  const x = uniform([3, 7])
  expect(new Set(precisionsIn(() => grad(f)(x)))).toEqual(new Set([undefined]))
  setMatmulPrecision('medium')
  expect(matmulPrecision()).toBe('medium')
  const seen = precisionsIn(() => {
    // The gradient is walked after the setting has changed.
    const v = uniform([3, 7]).setRequiresGrad() as Tensor
    const y = f(v)
    setMatmulPrecision('high')
    y.backward()
  })
  expect(seen.length).toBeGreaterThan(1)
  expect(new Set(seen)).toEqual(new Set(['medium']))
  expect(precisionsIn(() => f(x.cast('float64')))).toEqual([undefined])
})

test('has compiled functions make a program for each', () => {
  const f = compile((a: Tensor) => a.matmul(a.transpose()))
  const x = uniform([3, 5])
  const exact = f(x).dataSync()
  expect(precisionsIn(() => setMatmulPrecision('high') ?? f(x))).toEqual(['high'])
  expect(precisionsIn(() => setMatmulPrecision('highest') ?? f(x))).toEqual([])
  expect(f.specializations.length).toBe(2)
  setMatmulPrecision('high')
  // This engine is no faster with less, so it is as precise as ever.
  expect(f(x).dataSync()).toEqual(exact)
})

test('other words are refused', () => {
  expect(() => setMatmulPrecision('low' as never)).toThrow(CotangentError)
  expect(() => setMatmulPrecision('low' as never)).toThrow(/there is no precision low/)
})
