import { describe, expect, test } from 'vitest'
import { layoutLayers } from '../src/graph/layered-layout.ts'
import { compile, drawGraph, nn, normal, optim, type Tensor } from '../src/index.ts'

const box = { width: 100, height: 40 }

describe('layoutLayers', () => {
  test('puts each box below all that leads to it', () => {
    const edges = [
      { from: 0, to: 1 },
      { from: 1, to: 2 },
      { from: 0, to: 2 },
      { from: 3, to: 2 },
    ]
    const { corners, routes } = layoutLayers([box, box, box, box], edges)
    for (const { from, to } of edges) expect(corners[to]!.y).toBeGreaterThanOrEqual(corners[from]!.y + box.height)
    // What nothing leads to is just above its reader.
    expect(corners[3]!.y).toBe(corners[1]!.y)
    // The long edge passes the middle layer beside its boxes.
    const passing = routes[2]!.filter(({ y }) => y === corners[1]!.y).map(({ x }) => x)
    for (const i of [1, 3]) for (const x of passing) expect(x < corners[i]!.x || x > corners[i]!.x + box.width).toBe(true)
  })

  test('boxes of a layer do not overlap, and edges that can avoid it do not cross', () => {
    const edges = [
      { from: 0, to: 4 },
      { from: 1, to: 3 },
      { from: 2, to: 5 },
    ]
    const { corners, width } = layoutLayers(
      Array.from({ length: 6 }, () => box),
      edges,
    )
    for (const layer of [corners.slice(0, 3), corners.slice(3)]) {
      const xs = layer.map(({ x }) => x).sort((a, b) => a - b)
      for (let i = 1; i < xs.length; i++) expect(xs[i]! - xs[i - 1]!).toBeGreaterThanOrEqual(box.width)
      expect(xs.at(-1)! + box.width).toBeLessThanOrEqual(width + 1e-9)
    }
    for (const a of edges)
      for (const b of edges)
        expect((corners[a.from]!.x - corners[b.from]!.x) * (corners[a.to]!.x - corners[b.to]!.x)).toBeGreaterThanOrEqual(0)
  })

  test('an empty graph has no size', () => {
    expect(layoutLayers([], [])).toEqual({ width: 0, height: 0, corners: [], routes: [] })
  })
})

describe('drawGraph', () => {
  test('draws every operation of a training step with its ops', () => {
    const model = new nn.Linear(8, 4)
    const optimizer = new optim.SGD(model.parameters(), { lr: 0.1 })
    const step = compile(function step(x: Tensor) {
      const loss = model.forward(x).relu().square().mean()
      optimizer.zeroGrad()
      loss.backward()
      optimizer.step()
      return loss
    })
    step(normal([16, 8]) as Tensor)
    const page = drawGraph(step)
    const { operations } = step.specializations[0]!.executable.program
    expect(page.match(/class="node (kernel|routine)"/g)).toHaveLength(operations.length)
    for (const text of ['argument 0', '16×8', '.grad 8×4', 'parameter 8×4', 'result', 'relu', 'draw.test.ts:']) expect(page).toContain(text)
    expect(page.slice(0, page.indexOf('<script>'))).not.toMatch(/NaN|undefined|Infinity|https?:(?!\/\/www\.w3\.org\/2000\/svg)/)
  })

  test('has no markup of names in it', () => {
    const f = compile((x: Tensor) => x.exp())
    Object.defineProperty(f, 'name', { value: '<img>' })
    f(normal([2]) as Tensor)
    expect(drawGraph(f)).not.toContain('<img>')
  })

  test('needs a program', () => {
    expect(() => drawGraph(compile((x: Tensor) => x))).toThrow(/no program yet/)
  })
})
