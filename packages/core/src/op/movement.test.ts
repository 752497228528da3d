import fc from 'fast-check'
import { beforeEach, describe, expect, test } from 'vitest'
import { allocateFrom, type Model, modelOps } from '../../test/view-models.ts'
import { arange, concat, dtypes, engineNames, noGrad, pad, setEngine, type Tensor, tensor, zeros } from '../index.ts'
import { rowMajor, sizeOf } from '../layout.ts'

describe.each(engineNames())('views on %s', (engine) => {
  beforeEach(() => void setEngine(engine))

  test('random chains of views read what the same chain of index maps reads', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(4), { maxLength: 4 }),
        fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
        fc.nat(5),
        (shape, choices, length) => {
          const draw = allocateFrom(choices)
          let x = arange(sizeOf(shape)).reshape(shape) as Tensor
          const strides = rowMajor(shape)
          let model: Model = { shape, at: (i) => i.reduce((sum, n, axis) => sum + n * strides[axis]!, 0) }
          for (let step = 0; step < length; step++) [x, model] = modelOps[draw(modelOps.length)]!(x, model, draw)
          expect(x.shape).toEqual(model.shape)
          expect([...x.dataSync()]).toEqual(elementsOf(model))
        },
      ),
      { numRuns: 150 },
    )
  })

  test('a write through a chain of views changes just the elements that it names', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 3 }),
        fc.array(fc.nat(), { minLength: 24, maxLength: 24 }),
        (shape, choices) => {
          const draw = allocateFrom(choices)
          const base = arange(sizeOf(shape)).reshape(shape) as Tensor
          const strides = rowMajor(shape)
          let x = base
          let model: Model = { shape, at: (i) => i.reduce((sum, n, axis) => sum + n * strides[axis]!, 0) }
          // Only those ops that never repeat or move elements.
          for (let step = 0; step < 3; step++) [x, model] = modelOps[draw(3)]!(x, model, draw)
          const named = elementsOf(model)
          x.assign(
            arange(x.size)
              .add(100)
              .reshape(x.shape as number[]),
          )
          const expected = Array.from({ length: base.size }, (_, i) => (named.includes(i) ? 100 + named.indexOf(i) : i))
          expect([...base.dataSync()]).toEqual(expected)
        },
      ),
      { numRuns: 100 },
    )
  })

  test('a range is what Array.slice gives, and every step-th of it', () => {
    const bound = fc.option(fc.integer({ min: -9, max: 9 }))
    fc.assert(
      fc.property(fc.nat(7), bound, bound, fc.integer({ min: 1, max: 4 }), (n, start, end, step) => {
        const list = Array.from({ length: n }, (_, i) => i)
        const expected = list.slice(start ?? undefined, end ?? undefined).filter((_, i) => i % step === 0)
        const x = arange(n)
        expect(x.slice([start, end, step]).toArray()).toEqual(expected)
        expect(x.slice(`${start ?? ''}:${end ?? ''}:${step}`).toArray()).toEqual(expected)
        expect(x.at({ start, end, step }).toArray()).toEqual(expected)
      }),
      { numRuns: 200 },
    )
  })

  test('reshape shares memory where it can, and copies where it must', () => {
    const x = arange(6).reshape([2, 3])
    expect(x.reshape([3, 2]).storage).toBe(x.storage)
    expect(x.slice(null, '::2').unsqueeze(1).storage).toBe(x.storage)
    expect(x.transpose().reshape([2, 3, 1]).storage).not.toBe(x.storage)
    expect(x.transpose().reshape([6]).toArray()).toEqual([0, 3, 1, 4, 2, 5])
    expect(() => x.transpose().view([6])).toThrow(expect.objectContaining({ code: 'unsupported' }))
    expect(x.view().storage).toBe(x.storage)
    expect(x.T.storage).toBe(x.storage)
  })

  test('in-place writes: values broadcast, cast and may overlap', () => {
    const x = zeros([2, 3])
    x.slice(null, [1, null]).assign(tensor([[1], [2]], { dtype: 'int32' }))
    expect(x.toArray()).toEqual([
      [0, 1, 1],
      [0, 2, 2],
    ])
    x.assign(x.flip())
    expect(x.toArray()).toEqual([
      [2, 2, 0],
      [1, 1, 0],
    ])
    x.setAt([':', 0], 9).setAt([[1], [2]], tensor([7]))
    expect(x.toArray()).toEqual([
      [9, 2, 0],
      [9, 1, 7],
    ])
    x.setAt([x.gt(8)], -1)
    expect(x.at(':', 0).toArray()).toEqual([-1, -1])
  })

  test('in-place writes do not break recorded gradients', () => {
    const w = tensor([1, 2, 3], { requiresGrad: true })
    expect(() => w.assign(0)).toThrow(expect.objectContaining({ code: 'modified-in-place' }))
    expect(() => w.slice('1:').assign(0)).toThrow(expect.objectContaining({ code: 'modified-in-place' }))
    expect(() => zeros([3]).assign(w)).toThrow(expect.objectContaining({ code: 'modified-in-place' }))
    const loss = w.mul(w).sum()
    noGrad(() => w.slice('1:').assign(5))
    expect(() => loss.backward()).toThrow(expect.objectContaining({ code: 'modified-in-place' }))
    w.mul(w).sum().backward()
    expect(w.grad!.toArray()).toEqual([2, 10, 10])
    expect(() => zeros([1]).expand([3]).assign(1)).toThrow(expect.objectContaining({ code: 'invalid-argument' }))
    expect(() => zeros([2]).assign(zeros([3]))).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
  })

  test('errors name the axis, the index and the sizes', () => {
    const x = zeros([2, 3])
    expect(() => x.at(2)).toThrow(/index 2 does not exist on axis 0 of size 2/)
    expect(() => x.at(':', [0, 3])).toThrow(/index 3 does not exist on axis 1 of size 3/)
    expect(() => x.take([-4], 1)).toThrow(/index -4/)
    expect(() => x.gather(0, [[5, 0, 0]])).toThrow(expect.objectContaining({ code: 'index-out-of-range' }))
    expect(() => (x as Tensor).at(0, 0, 0)).toThrow(/3 indices for 2 axes/)
    expect(() => (x as Tensor).at('...', 0, '...')).toThrow(/only one/)
    expect(() => x.at([true])).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
    expect(() => x.at([0.5])).toThrow(/0.5 is not an index/)
    expect(() => x.take(tensor([0.5]))).toThrow(expect.objectContaining({ code: 'dtype-mismatch' }))
    expect(() => (x as Tensor).transpose(0, 2)).toThrow(expect.objectContaining({ code: 'axis-out-of-range' }))
    expect(() => concat([x, zeros([2, 3, 1])] as Tensor[])).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
    expect(() => x.slice('a:b')).toThrow(/is not a range/)
    expect(() =>
      pad(
        x,
        [
          [2, 0],
          [0, 0],
        ],
        { mode: 'reflect' },
      ),
    ).toThrow(/needs more elements/)
    expect(() => x.oneHot(3)).toThrow(expect.objectContaining({ code: 'dtype-mismatch' }))
    expect(() => x.cast('int32').oneHot(0)).toThrow(/index 0/)
  })

  test.each(dtypes)('elements of %s move unchanged', (dtype) => {
    const big = dtype === 'int64'
    const values = dtype === 'bool' ? [0, 1, 1, 0, 0, 1] : dtype === 'uint8' ? [0, 255, 3, 7, 200, 1] : [0, -128, 127, 5, -1, 2]
    const x = tensor(values, { dtype }).reshape([2, 3])
    const read = (t: Tensor) => [...t.dataSync()].map(Number)
    const [a, b, c, d, e, f] = values
    expect(read(x.T)).toEqual([a, d, b, e, c, f])
    expect(read(x.at('::-1', [2, 0]))).toEqual([f, d, c, a])
    expect(read(concat([x, x.flip(1)], 1))).toEqual([a, b, c, c, b, a, d, e, f, f, e, d])
    expect(
      read(
        pad(
          x,
          [
            [0, 0],
            [1, 0],
          ],
          { value: 1 },
        ),
      ),
    ).toEqual([1, a, b, c, 1, d, e, f])
    expect(read(x.scatter(1, [[2], [0]], tensor([[1], [0]], { dtype })))).toEqual([a, b, 1, 0, e, f])
    expect(read(x.tril())).toEqual([a, 0, 0, d, e, 0])
    expect(read(x.maskedFill(tensor([true, false, true]), 1))).toEqual([1, b, 1, 1, e, 1])
    expect(read(x.sort().values)).toEqual([a, b, c].sort((p, q) => p! - q!).concat([d, e, f].sort((p, q) => p! - q!)))
    expect(x.sort().values.dtype).toBe(dtype)
    expect(read(x.unique().values)).toEqual([...new Set(values)].sort((p, q) => p - q))
    expect(x.nonzero().shape[0]).toBe(values.filter((v) => v !== 0).length)
    if (big)
      expect(
        tensor([2n ** 62n + 1n, -1n])
          .flip()
          .toArray(),
      ).toEqual([-1n, 2n ** 62n + 1n])
  })

  test('gradients of gradients pass through indexing', () => {
    const x = tensor([1, 2, 3, 4], { dtype: 'float64', requiresGrad: true })
    const y = pad(x.at([0, 2, 2]), [[1, 0]]).slice('::-1')
    const first = y.mul(y).mul(y).sum()
    first.backward({ createGraph: true })
    const g = x.grad!
    expect(g.toArray()).toEqual([3, 0, 54, 0])
    x.grad = null
    g.sum().backward()
    expect(x.grad!.toArray()).toEqual([6, 0, 36, 0])
  })
})

function elementsOf({ shape, at }: Model): number[] {
  const walk = (index: readonly number[]): number[] =>
    index.length === shape.length ? [at(index)] : Array.from({ length: shape[index.length]! }, (_, i) => walk([...index, i])).flat()
  return walk([])
}
