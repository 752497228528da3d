import { CotangentError, full, gradCheck, logSigmoid, ones, sinc, softplus, type Tensor, tensor, where, zeros } from 'cotangent'
import { describe, expect, expectTypeOf, test } from 'vitest'

const codeOf = (f: () => unknown): string | undefined => {
  try {
    f()
  } catch (error) {
    if (error instanceof CotangentError) return error.code
    throw error
  }
  return undefined
}

describe('reductions', () => {
  test('over no elements: identities, NaN, or an error that names the shape', () => {
    const x = zeros([2, 0])
    expect(x.sum(1).toArray()).toEqual([0, 0])
    expect(x.prod(1).toArray()).toEqual([1, 1])
    expect(x.all(1).toArray()).toEqual([true, true])
    expect(x.any(1).toArray()).toEqual([false, false])
    expect(x.mean(1).toArray()).toEqual([Number.NaN, Number.NaN])
    expect(x.logSumExp(1).toArray()).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY])
    for (const name of ['max', 'min', 'argmax', 'argmin'] as const) expect(codeOf(() => x[name](1))).toBe('empty-reduction')
    expect(codeOf(() => x.norm(1, { p: Number.POSITIVE_INFINITY }))).toBe('empty-reduction')
    // Along the other axis there is nothing to be found either, and nothing missing.
    expect(x.max(0).shape).toEqual([0])
  })

  test('refuse axes that do not exist or come twice', () => {
    const x: Tensor = ones([2, 3])
    expect(codeOf(() => x.sum(2))).toBe('axis-out-of-range')
    expect(codeOf(() => x.sum([0, -2]))).toBe('invalid-argument')
  })

  test('take axes in place or as an option', () => {
    const x = tensor([
      [1, 2],
      [3, 5],
    ])
    expect(x.sum({ axis: 1, keepDims: true }).toArray()).toEqual([[3], [8]])
    expect(x.sum(1, { keepDims: true }).toArray()).toEqual([[3], [8]])
    expect(x.variance({ axis: 1, correction: 0 }).toArray()).toEqual([0.25, 1])
  })

  test('have the shape in their type', () => {
    const x = ones([2, 3]) as Tensor<[2, 3]>
    expectTypeOf(x.sum(1)).toEqualTypeOf<Tensor<[2]>>()
    expectTypeOf(x.mean()).toEqualTypeOf<Tensor<[]>>()
    expectTypeOf(x.max({ axis: 0, keepDims: true })).toEqualTypeOf<Tensor<[1, 3]>>()
    expectTypeOf(x.add(1)).toEqualTypeOf<Tensor<[2, 3]>>()
    expectTypeOf(x.add(ones([4, 1, 1]) as Tensor<[4, 1, 1]>)).toEqualTypeOf<Tensor<[4, 2, 3]>>()
    // @ts-expect-error: there is no axis 2
    expect(() => x.sum(2)).toThrow('axis 2')
    // @ts-expect-error: 3 and 2 do not broadcast
    expect(() => x.add(ones([2]) as Tensor<[2]>)).toThrow('do not broadcast')
  })

  test('narrow integers add up in int32, others wrap in their own dtype', () => {
    expect(tensor([200, 100], { dtype: 'uint8' }).sum().item()).toBe(300)
    expect(
      tensor([2 ** 31 - 1, 1], { dtype: 'int32' })
        .sum()
        .item(),
    ).toBe(-(2 ** 31))
    expect(
      full([3], 2n ** 40n)
        .sum()
        .toArray(),
    ).toBe(3n * 2n ** 40n)
  })
})

describe('dtypes that an op is not defined on', () => {
  const bools = tensor([true, false])
  const floats = tensor([1.5])
  test('are refused with dtype-mismatch', () => {
    expect(codeOf(() => floats.bitwiseAnd(1))).toBe('dtype-mismatch')
    expect(codeOf(() => floats.leftShift(1))).toBe('dtype-mismatch')
    expect(codeOf(() => floats.bitwiseNot())).toBe('dtype-mismatch')
    expect(codeOf(() => bools.neg())).toBe('dtype-mismatch')
    expect(codeOf(() => bools.sub(bools))).toBe('dtype-mismatch')
    expect(codeOf(() => tensor([2], { dtype: 'int32' }).pow(-1))).toBe('invalid-argument')
    expect(() => floats.bitwiseAnd(1)).toThrow('bitwiseAnd: is defined on bools and integers only (dtypes float32, float32)')
  })
})

test('where keeps the dtype of its choices', () => {
  const condition = tensor([true, false])
  expect(where(condition, tensor([1, 2], { dtype: 'float64' }), 0).dtype).toBe('float64')
  expect(where(condition, 1, 0).dtype).toBe('int32')
  expect(where(condition, 1.5, 0).dtype).toBe('float32')
})

describe('gradients where formulas break', () => {
  const at = (values: number[]) => [tensor(values, { dtype: 'float64' })]
  test('of products and running products with zeros, to second order', () => {
    for (const values of [
      [2, 0, 3, 4],
      [2, 0, 3, 0],
      [0, 0, 0, 1],
    ]) {
      expect(gradCheck((x) => x.prod(), at(values))).toEqual([])
      expect(gradCheck((x) => x.cumProd(0), at(values))).toEqual([])
    }
    expect(gradCheck((x) => x.cumProd(0), at([2, 0, 3, 4]), { order: 2, rtol: 1e-4, atol: 1e-5 })).toEqual([])
  })

  test('gradCheck notices a wrong gradient', () => {
    const wrong = gradCheck((x) => x.mul(x.detach()), at([1, 2]))
    expect(wrong.map(({ element, order }) => [element, order])).toEqual([
      [0, 1],
      [1, 1],
    ])
    expect(codeOf(() => gradCheck((x) => x.exp(), [tensor([1])]))).toBe('dtype-mismatch')
  })

  test('are 0, not NaN, at the kinks of norms and at masked values', () => {
    const gradientAt = (values: number[], f: (x: Tensor) => Tensor): unknown => {
      const x = tensor(values).setRequiresGrad()
      f(x).sum().backward()
      return x.grad!.toArray()
    }
    expect(gradientAt([0, 0], (x) => x.norm())).toEqual([0, 0])
    expect(gradientAt([1, 1], (x) => x.std())).toEqual([0, 0])
    expect(gradientAt([0], (x) => x.abs())).toEqual([0])
    expect(gradientAt([0], (x) => sinc(x))).toEqual([0])
    expect(gradientAt([Number.NEGATIVE_INFINITY, 0], (x) => x.logSumExp())).toEqual([0, 1])
    expect(gradientAt([-200, 200], (x) => softplus(x))).toEqual([0, 1])
    expect(gradientAt([-200, 200], (x) => logSigmoid(x))).toEqual([1, 0])
  })
})
