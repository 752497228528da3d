import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { byName } from '../ui/name-order.ts'
import { evenTicks } from '../ui/plot/even-ticks.ts'
import { nest, slicesOf, totals } from '../ui/plot/flame.ts'
import { layOutGraph, scopesOf } from '../ui/plot/graph-layout.ts'
import { logTicks } from '../ui/plot/log-ticks.ts'
import { formatBytes, formatDuration, formatValue } from '../ui/words.ts'

describe('ticks of a log axis', () => {
  test('are round', () => {
    expect(logTicks(0.9, 1100, 5)).toEqual([1, 10, 100, 1000])
    expect(logTicks(1, 100, 12)).toEqual([1, 2, 5, 10, 20, 50, 100])
    expect(logTicks(0.21, 0.26, 6)).toEqual([0.21, 0.22, 0.23, 0.24, 0.25, 0.26])
    expect(logTicks(1e-30, 1e30, 5).length).toBeLessThanOrEqual(6)
  })

  test('are few, in range and ascending, wherever the axis lies', () => {
    fc.assert(
      fc.property(
        fc.double({ min: -300, max: 300, noNaN: true }),
        fc.double({ min: 1e-6, max: 20, noNaN: true }),
        fc.integer({ min: 1, max: 20 }),
        (at, span, most) => {
          const [low, high] = [10 ** at, 10 ** Math.min(308, at + span)]
          const ticks = logTicks(low, high, most)
          expect(ticks.length).toBeLessThanOrEqual(Math.max(2, most) + 1)
          ticks.forEach((tick, i) => {
            expect(tick).toBeGreaterThanOrEqual(i === 0 ? low * (1 - 1e-9) : ticks[i - 1]!)
            expect(tick).toBeLessThanOrEqual(high * (1 + 1e-9))
          })
        },
      ),
    )
  })
})

test('even ticks are round, too', () => {
  expect(evenTicks(-5.5, 5.2, 3)).toEqual([-5, 0, 5])
  expect(evenTicks(0.0123, 0.0187, 4)).toEqual([0.014, 0.016, 0.018])
  expect(evenTicks(-2e-9, 3e-9, 6)).toEqual([-2e-9, -1e-9, 0, 1e-9, 2e-9, 3e-9])
})

describe('flames', () => {
  const slice = (name: string, start: number, ms: number, lane = 'a') => ({ name, lane, start, ms })

  test('lie in one another by time, lane by lane', () => {
    const chart = nest([slice('b', 1, 3), slice('a', 0, 10), slice('c', 1, 1), slice('d', 5, 5), slice('e', 10, 2), slice('x', 0, 1, 'b')])
    expect(chart.lanes.map(({ name, depth }) => [name, depth])).toEqual([
      ['a', 3],
      ['b', 1],
    ])
    expect(chart.lanes[0]!.flames.map(({ name, depth, self }) => [name, depth, self])).toEqual([
      ['a', 0, 2],
      ['b', 1, 2],
      ['c', 2, 1],
      ['d', 1, 5],
      ['e', 0, 2],
    ])
    expect([chart.start, chart.end]).toEqual([0, 12])
    expect(totals(chart)[0]).toEqual({ name: 'd', kind: '', calls: 1, self: 5, ms: 5 })
  })

  test('an op and the kernel in it of the same name are two, and time is counted once', () => {
    const of = (kind: string, start: number, ms: number) => ({ ...slice('matmul', start, ms), kind })
    expect(totals(nest([of('op', 0, 10), of('kernel', 4, 5), of('op', 20, 4), of('kernel', 20, 4)]))).toEqual([
      { name: 'matmul', kind: 'kernel', calls: 2, self: 9, ms: 9 },
      { name: 'matmul', kind: 'op', calls: 2, self: 5, ms: 14 },
    ])
    // A function that calls itself.
    expect(totals(nest([of('op', 0, 10), of('op', 2, 4)]))).toEqual([{ name: 'matmul', kind: 'op', calls: 2, self: 10, ms: 10 }])
  })

  test('come from complete events and from pairs of a Chrome trace', () => {
    const slices = slicesOf({
      traceEvents: [
        { ph: 'M', name: 'thread_name', pid: 1, tid: 2, args: { name: 'main' } },
        { ph: 'X', name: 'whole', cat: 'op', pid: 1, tid: 2, ts: 1000, dur: 500 },
        { ph: 'B', name: 'outer', pid: 1, tid: 3, ts: 0 },
        { ph: 'B', name: 'inner', pid: 1, tid: 3, ts: 100 },
        { ph: 'E', pid: 1, tid: 3, ts: 200 },
        { ph: 'E', pid: 1, tid: 3, ts: 400 },
      ],
    })
    expect(slices).toEqual([
      { name: 'whole', kind: 'op', lane: 'process 1 · main', start: 1, ms: 0.5 },
      { name: 'inner', lane: 'process 1 · thread 3', start: 0.1, ms: 0.1 },
      { name: 'outer', lane: 'process 1 · thread 3', start: 0, ms: 0.4 },
    ])
    expect(() => slicesOf({ some: 'json' })).toThrow('traceEvents')
  })
})

describe('the drawing of a graph', () => {
  const node = (name: string, ...inputs: string[]) => ({ name, op: 'op', inputs, attributes: {} })
  const graph = {
    nodes: [
      node('x'),
      node('a/fc/matmul', 'x'),
      node('a/fc/add', 'a/fc/matmul'),
      node('a/relu', 'a/fc/add'),
      node('out', 'a/relu', 'gone'),
    ],
  }
  const scopes = scopesOf(graph)

  test('has a box for what is closed, and edges between boxes', () => {
    expect([...scopes]).toEqual([
      ['a', 3],
      ['a/fc', 2],
    ])
    const closed = layOutGraph(graph, scopes, new Set())
    expect(closed.boxes.map(({ name, ops }) => [name, ops])).toEqual([
      ['x', 0],
      ['a', 3],
      ['out', 0],
    ])
    expect(closed.edges.map(({ from, to }) => `${from}>${to}`)).toEqual(['x>a', 'a>out'])
    const half = layOutGraph(graph, scopes, new Set(['a']))
    expect(half.boxes.map(({ name }) => name)).toEqual(['x', 'a/fc', 'a/relu', 'out'])
    expect(half.frames.map(({ name }) => name)).toEqual(['a'])
  })

  test('leaves out the lines of what is joined to nearly everything', () => {
    const layers = Array.from({ length: 9 }, (_, i) => node(`layer${i}`, ...(i > 0 ? [`layer${i - 1}`] : [])))
    const nodes = [...layers, node('optimizer/step', ...layers.map(({ name }) => name))]
    const { boxes, edges } = layOutGraph({ nodes }, scopesOf({ nodes }), new Set())
    expect(boxes.filter(({ aside }) => aside > 0).map(({ name, aside }) => [name, aside])).toEqual([['optimizer', 9]])
    expect(edges).toHaveLength(8)
  })

  test('of hundreds of boxes takes no time, and nothing lies over anything', () => {
    // A circle among them, as loops of TensorFlow have.
    const nodes = Array.from({ length: 600 }, (_, i) =>
      node(
        `a${i % 7}/op${i}`,
        ...(i === 10 ? ['a6/op20'] : []),
        ...[1, 30].flatMap((back) => (i >= back ? [`a${(i - back) % 7}/op${i - back}`] : [])),
      ),
    )
    const all = scopesOf({ nodes })
    const { boxes, frames, edges, width, height } = layOutGraph({ nodes }, all, new Set(all.keys()))
    expect([boxes.length, frames.length]).toEqual([600, 7])
    expect(edges).toHaveLength(1170)
    for (const y of new Set(boxes.map((box) => box.y))) {
      const sorted = boxes.filter((box) => box.y === y).sort((a, b) => a.x - b.x)
      sorted.slice(1).forEach((box, i) => expect(box.x - box.width / 2).toBeGreaterThan(sorted[i]!.x + sorted[i]!.width / 2))
    }
    for (const { x, y } of boxes) expect([x > 0 && x < width, y > 0 && y < height]).toEqual([true, true])
  })

  test('runs downwards with the data', () => {
    const { boxes } = layOutGraph(graph, scopes, new Set(['a', 'a/fc']))
    const y = new Map(boxes.map((box) => [box.name, box.y]))
    const edges = graph.nodes.flatMap(({ name, inputs }) =>
      inputs.filter((input) => y.has(input)).map((input) => [y.get(input)!, y.get(name)!]),
    )
    expect(edges).toHaveLength(4)
    for (const [from, to] of edges) expect(to).toBeGreaterThan(from!)
  })
})

test('names are in the order in which people have them', () => {
  const names = ['a/lr0.1-seed0', 'a/lr0.01-seed1', 'a/lr0.01-seed0', 'a/lr0.01-seed10', 'a/lr0.01-seed9', 'a', 'b2', 'B1', '10', '9', '']
  expect(byName(names, String)).toEqual([
    '',
    '9',
    '10',
    'a',
    'a/lr0.01-seed0',
    'a/lr0.01-seed1',
    'a/lr0.01-seed9',
    'a/lr0.01-seed10',
    'a/lr0.1-seed0',
    'b2',
    'B1',
  ])
})

test('numbers in words', () => {
  expect([0, 0.0003, 0.00001234, 1234567, 12345678.9, -2.5, NaN, Infinity, null].map(formatValue)).toEqual([
    '0',
    '0.0003',
    '1.234e−5',
    '1,234,567',
    '1.235e7',
    '−2.5',
    'NaN',
    '∞',
    '–',
  ])
  expect([0, 1.5, 59, 61, 3600, 90061].map(formatDuration)).toEqual(['0s', '1.5s', '59s', '1m 1s', '1h', '1d 1h'])
  expect([0, 999, 1500, 2e9].map(formatBytes)).toEqual(['0 B', '999 B', '1.5 kB', '2 GB'])
})
