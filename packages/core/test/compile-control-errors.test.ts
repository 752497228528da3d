import { compile, concat, cond, enableGrad, grad, scan, type Tensor, tensor, whileLoop } from 'cotangent'
import { describe, expect, test } from 'vitest'
import { codeOf, numbers } from './control-flow.ts'

describe('errors', () => {
  const x = () => numbers(3)
  const cases: [what: string, f: () => unknown, code: string, message: RegExp][] = [
    [
      'a predicate of several elements',
      () =>
        cond(
          x().gt(0),
          () => x(),
          () => x(),
        ),
      'shape-mismatch',
      /one element/,
    ],
    [
      'branches of other shapes',
      () =>
        compile(() =>
          cond(
            tensor(true),
            () => x(),
            () => x().sum(),
          ),
        )(),
      'shape-mismatch',
      /branches/,
    ],
    [
      'branches of other dtypes',
      () =>
        compile(() =>
          cond(
            tensor(true),
            () => x(),
            () => x().gt(0),
          ),
        )(),
      'dtype-mismatch',
      /branches/,
    ],
    [
      'branches of other structure',
      () =>
        compile(() =>
          cond(
            tensor(true),
            () => [x()],
            () => [x(), x()],
          ),
        )(),
      'invalid-argument',
      /structure/,
    ],
    ['a carry that grows', () => scan((c) => [concat([c, c]), null], x(), null, { length: 2 }), 'shape-mismatch', /carries/],
    [
      'a compiled carry that grows',
      () => compile(() => scan((c) => [concat([c, c]), null], x(), null, { length: 2 }))(),
      'shape-mismatch',
      /carries/,
    ],
    ['no length', () => scan((c) => [c, null], x(), null), 'invalid-argument', /nothing to go over/],
    ['lengths that differ', () => scan((c) => [c, null], x(), x(), { length: 2 }), 'shape-mismatch', /differ: 3, 2/],
    [
      'a state that grows',
      () =>
        whileLoop(
          (c) => c.size < 9,
          (c) => concat([c, c]),
          x(),
        ),
      'shape-mismatch',
      /states/,
    ],
    [
      'a constant condition',
      () =>
        compile(() =>
          whileLoop(
            () => true,
            (c) => c,
            x(),
          ),
        )(),
      'invalid-argument',
      /whatever the state/,
    ],
    ['a JavaScript branch', () => compile((a: Tensor) => (a.item() > 0 ? a : a.neg()))(tensor(1)), 'tracer-read', /cond\(\)/],
  ]
  test.each(cases)('%s', (_, f, code, message) => {
    const [found, text] = codeOf(f)
    expect(text).toMatch(message)
    expect(found).toBe(code)
  })

  test('a branch does not leave gradients outside', () => {
    const v = x().setRequiresGrad()
    const g = compile(() =>
      scan(
        (c) => {
          enableGrad(() => v.square().sum().backward())
          return [c, null]
        },
        tensor(0),
        null,
        { length: 2 },
      ),
    )
    expect(codeOf(g)[1]).toMatch(/\.grad/)
  })

  test('what a branch writes is not passed to it, and a condition writes nothing', () => {
    const w = x()
    const shared = compile((p: Tensor) =>
      cond(
        p,
        (v) => w.assign(v.mul(2)).sum(),
        (v) => v.sum(),
        w,
      ),
    )
    expect(codeOf(() => shared(tensor(true)))).toEqual(['modified-in-place', expect.stringMatching(/also passed/)])
    const operand = compile((p: Tensor, y: Tensor) =>
      cond(
        p,
        (v) => v.assign(v.mul(2)).sum(),
        (v) => v.sum(),
        y,
      ),
    )
    expect(codeOf(() => operand(tensor(true), x()))).toEqual(['modified-in-place', expect.stringMatching(/operands/)])
    const condition = compile((y: Tensor) =>
      whileLoop(
        (state) => {
          w.assign(w.add(1))
          return state.sum().lt(3)
        },
        (state) => state.add(1),
        y,
      ),
    )
    expect(codeOf(() => condition(x()))).toEqual(['modified-in-place', expect.stringMatching(/condition/)])
  })

  test('gradients do not go through what a body writes outside', () => {
    const w = x()
    const f = compile((y: Tensor) =>
      grad((v: Tensor) => {
        const z = cond(
          tensor(true),
          (u) => {
            w.assign(u.mul(2))
            return u.square()
          },
          (u) => u.square(),
          v,
        )
        return z.sum()
      })(y),
    )
    expect(codeOf(() => f(x()))).toEqual(['modified-in-place', expect.stringMatching(/would be lost/)])
  })
})
