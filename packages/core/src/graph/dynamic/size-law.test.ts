import { describe, expect, test } from 'vitest'
import { at, fitData, fitNumber, Misfit } from './size-fit.ts'
import { SizeLaw } from './size-law.ts'

const lawOf = (f: (size: number) => number, ...sizes: number[]) =>
  at(
    fitNumber(
      sizes.map((size) => f(size)),
      sizes,
    ),
    100,
  )

describe('fitNumber', () => {
  test('integers: constant, linear, quadratic', () => {
    expect(lawOf(() => 7, 3, 5)).toBe(7)
    expect(lawOf((n) => 12 * n - 5, 3, 5, 8)).toBe(1195)
    expect(lawOf((n) => (n * (n + 1)) / 2, 3, 5, 8, 4)).toBe(5050)
  })

  test('factors: one over the size, and Bessel’s', () => {
    expect(lawOf((n) => Math.fround(2 / (10 * n)), 3, 5, 8)).toBeCloseTo(0.002, 9)
    expect(lawOf((n) => n / (n - 1), 3, 5, 8)).toBeCloseTo(100 / 99, 12)
  })

  test('no law: quotients, what is rounded or cut off, roots', () => {
    expect(() => lawOf((n) => n / 2, 4, 8, 16)).toThrow(Misfit)
    expect(() => lawOf((n) => Math.ceil(n / 8) * 8, 8, 16, 9)).toThrow(Misfit)
    expect(() => lawOf((n) => Math.min(n, 10), 4, 8, 16)).toThrow(Misfit)
    expect(() => lawOf(Math.sqrt, 4, 9, 17)).toThrow(Misfit)
    // Three points lie on any parabola.
    expect(() => lawOf((n) => n * n, 3, 5, 8)).toThrow(Misfit)
  })
})

test('fitData shares what does not depend on the size, and refuses other structures', () => {
  const fixed = { kind: 'load', strides: [1, 2] }
  const made = (n: number) => ({ fixed, shape: [n, 4], name: 'x' })
  const fitted = at(fitData([made(2), made(3), made(9)], [2, 3, 9]), 7)
  expect(fitted).toEqual(made(7))
  expect(fitted.fixed).toBe(fixed)
  expect(() => fitData<unknown>([{ a: 1 }, { b: 1 }], [2, 3])).toThrow(Misfit)
  expect(() => fitData<unknown>([[1], [1, 2]], [2, 3])).toThrow(Misfit)
  expect(() => fitData<unknown>([() => 1, () => 1], [2, 3])).toThrow(Misfit)
})

describe('SizeLaw', () => {
  const fit = (items: readonly number[], sizes: readonly number[]) => {
    const fitted = fitNumber(items, sizes)
    return { at: (size: number) => at(fitted, size) }
  }
  const make = (f: (size: number) => number, first: number) => new SizeLaw(fit, first, f(first))

  test('believes three that are no step apart, between the outermost', () => {
    const double = (n: number) => 2 * n
    const law = make(double, 8)
    expect(law.take(16, 32)).toBe(true)
    expect(law.take(32, 64)).toBe(true)
    expect(law.covers(16)).toBe(false)
    expect(law.take(9, 18)).toBe(true)
    expect([law.at(20), law.at(33), law.at(7)]).toEqual([40, null, null])
    expect(law.widen(40, double)).toBe(true)
    expect(law.at(81)).toBe(162)
  })

  test('goes half-way where further out is something else', () => {
    const bent = (n: number) => (n < 50 ? n : 3 * n)
    const asked: number[] = []
    const ask = (n: number) => {
      asked.push(n)
      return bent(n)
    }
    const law = make(bent, 20)
    law.take(21, 21)
    law.take(23, 23)
    expect(law.widen(30, ask)).toBe(false)
    expect(law.widen(30, ask)).toBe(true)
    expect(asked).toEqual([61, 45])
  })

  test('believes nothing if one in between does not fit', () => {
    const law = make((n) => n, 8)
    law.take(16, 16)
    law.take(17, 17)
    law.take(30, 30)
    expect(law.covers(12)).toBe(true)
    expect(law.take(12, 11)).toBe(false)
    expect(law.covers(13)).toBe(false)
  })
})
