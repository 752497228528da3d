import { describe, expect, test } from 'vitest'
import { nearNames } from '../near-names.ts'
import { linePlot } from './line-plot.ts'
import { Curve, sparkline } from './sparkline.ts'

describe('linePlot', () => {
  test('draws a falling line from corner to corner', () => {
    const xs = Array.from({ length: 50 }, (_, i) => i)
    const plot = linePlot(
      xs,
      xs.map((x) => 49 - x),
      { width: 20, height: 6, color: false },
    )
    expect(plot).toMatchInlineSnapshot(`
      "   49 ┤⠙⠢⢄⡀         
            ┤   ⠉⠲⢤⡀      
      24.50 ┤      ⠈⠓⠦⣀   
          0 ┤         ⠈⠑⠢⣄
            └─────────────
             0   24.5   49"
    `)
  })

  test('takes logarithms, gaps, flat lines, a mark and nothing at all', () => {
    const plot = linePlot([1e-4, 1e-3, 1e-2, 1e-1], [3, Number.NaN, 1, 2], {
      logX: true,
      width: 40,
      height: 8,
      color: false,
      mark: { x: 1e-2, label: 'here' },
    })
    expect(plot.split('\n')).toHaveLength(8)
    expect(plot).toContain('┊')
    expect(plot).toContain('here')
    expect(linePlot([1, 2], [5, 5], { color: false })).toContain('5')
    expect(linePlot([], [], { color: false }).split('\n').length).toBe(16)
    expect(linePlot([1, 2], [1, 2], { color: true })).toContain('\x1b[36m')
  })
})

test('sparkline: the least is low, the greatest high, what is not finite a gap', () => {
  expect(sparkline([0, 1, 2, 3, 4, 5, 6, 7], 8)).toBe('▁▂▃▄▅▆▇█')
  expect(sparkline([1, Number.NaN, 0], 8)).toBe('█ ▁')
  expect(sparkline([5, 5], 8)).toBe('▁▁')
  expect(sparkline([], 8)).toBe('')
  expect(
    sparkline(
      Array.from({ length: 100 }, (_, i) => i),
      8,
    ),
  ).toBe('▁▂▃▄▅▆▇█')
  expect(sparkline([1, 10, 100], 8, { log: true })).toBe('▁▅█')
  expect(sparkline([-1, 10, 100], 8, { log: true })).toBe('▁▂█')
})

test('a curve keeps its shape in bounded space', () => {
  const curve = new Curve(16)
  for (let i = 0; i < 1000; i++) curve.push(i)
  expect(curve.values.length).toBeLessThanOrEqual(16)
  expect([...curve.values]).toEqual([...curve.values].sort((a, b) => a - b))
  expect(curve.values.at(-1)).toBeGreaterThan(900)
})

test('near names', () => {
  expect(nearNames('valLos', ['loss', 'valLoss', 'accuracy'])).toEqual(['valLoss'])
  expect(nearNames('adan', ['adam', 'adamW', 'sgd', 'nadam'])[0]).toBe('adam')
  expect(nearNames('zzz', ['accuracy'])).toEqual([])
})
