import {
  CotangentError,
  compile,
  conv2d,
  convTranspose2d,
  type DType,
  dequantize,
  engineNames,
  fakeQuantize,
  linear,
  matmul,
  quantize,
  setEngine,
  type Tensor,
  tensor,
} from 'cotangent'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(() => {
  setEngine(engineNames()[0]!)
})

const codeOf = (f: () => unknown): string => {
  try {
    f()
  } catch (error) {
    if (error instanceof CotangentError) return error.code
  }
  return 'nothing'
}

const filled = (dtype: DType, shape: readonly number[], step: number): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1)
  return tensor(
    Array.from({ length: size }, (_, i) => ((i * step) % 256) - (dtype === 'int8' ? 128 : 0)),
    { shape, dtype },
  )
}

describe.each(engineNames())('products of a dtype of their own on %s', (engine) => {
  it('bytes give int32 sums where asked for, or where they promote to int32; else they wrap as before', () => {
    setEngine(engine)
    const [a, b] = [filled('int8', [3, 200], 7), filled('int8', [200, 2], 11)]
    const exact = a.cast('int32').matmul(b.cast('int32'))
    const sums = matmul(a, b, { dtype: 'int32' })
    expect(sums.dtype).toBe('int32')
    expect(sums.toArray()).toEqual(exact.toArray())
    expect(matmul(a, b).dtype).toBe('int8')
    expect(matmul(a, b).toArray()).toEqual(exact.cast('int8').toArray())
    const unsigned = filled('uint8', [3, 200], 5)
    expect(unsigned.matmul(b).dtype).toBe('int32')
    expect(unsigned.matmul(b).toArray()).toEqual(unsigned.cast('int32').matmul(b.cast('int32')).toArray())
    expect(matmul(a, b, { dtype: 'int64' }).dtype).toBe('int64')
    expect(matmul(a, b, { dtype: 'float32' }).dtype).toBe('float32')
  })

  it('convolutions and transposed ones, with bias', () => {
    setEngine(engine)
    const [x, w] = [filled('uint8', [1, 6, 6, 4], 13), filled('int8', [3, 3, 4, 5], 9)]
    const bias = tensor([1, -2, 3, -4, 100000], { dtype: 'int32' })
    const wide = (t: Tensor) => t.cast('int32')
    for (const options of [
      { padding: 1, bias },
      { stride: 2, bias, dtype: 'int32' as const },
    ]) {
      const y = conv2d(x, w, options)
      expect(y.dtype).toBe('int32')
      expect(y.toArray()).toEqual(conv2d(wide(x), wide(w), options).toArray())
    }
    const back = filled('int8', [1, 3, 3, 5], 3)
    expect(convTranspose2d(back, w, { stride: 2, dtype: 'int32' }).toArray()).toEqual(
      convTranspose2d(wide(back), wide(w), { stride: 2 }).toArray(),
    )
  })

  it('half floats keep float32 sums, and gradients come back in their own dtype', () => {
    setEngine(engine)
    const [a, b] = [tensor([[1, 2 ** -8]], { dtype: 'bfloat16' }), tensor([[1], [1]], { dtype: 'bfloat16' })]
    a.setRequiresGrad()
    b.setRequiresGrad()
    const y = matmul(a, b, { dtype: 'float32' })
    expect([y.dtype, y.item()]).toEqual(['float32', 1 + 2 ** -8])
    y.mul(3).sum().backward()
    expect([a.grad!.dtype, a.grad!.toArray()]).toEqual(['bfloat16', [[3, 3]]])
    expect([b.grad!.dtype, b.grad!.toArray()]).toEqual(['bfloat16', [[3], [3 * 2 ** -8]]])
    const x = tensor([1, 2 ** -8], { shape: [1, 1, 1, 2], dtype: 'float16' }).setRequiresGrad()
    const w = tensor([1, 1], { shape: [1, 1, 2, 1], dtype: 'float16' }).setRequiresGrad()
    conv2d(x, w, { dtype: 'float32' }).sum().backward()
    expect([x.grad!.dtype, w.grad!.dtype]).toEqual(['float16', 'float16'])
    expect(w.grad!.reshape([-1]).toArray()).toEqual([1, 2 ** -8])
  })

  it('a quantised layer compiled is the eager one', () => {
    setEngine(engine)
    const layer = (x: Tensor, w: Tensor, scales: Tensor) => {
      const q = quantize(x, { scale: 0.02, zeroPoint: 3, dtype: 'uint8' })
      const weights = quantize(w, { scale: scales, axis: 1, min: -127 })
      const sums = linear(q, weights).sub(weights.cast('int32').sum({ axis: 0 }).mul(3))
      return quantize(sums.cast('float32').mul(scales).mul(0.02).relu(), { scale: 0.05, dtype: 'uint8' })
    }
    const x = filled('uint8', [5, 33], 7).cast('float32').mul(0.01)
    const w = filled('int8', [33, 6], 5).cast('float32').mul(0.003)
    const scales = tensor([0.003, 0.002, 0.004, 0.003, 0.0025, 0.0031])
    const expected = layer(x, w, scales).toArray()
    const compiled = compile(layer)
    for (let run = 0; run < 2; run++) expect(compiled(x, w, scales).toArray()).toEqual(expected)
    const real = x.matmul(w).relu()
    expect(
      dequantize(layer(x, w, scales), { scale: 0.05 })
        .sub(real)
        .abs()
        .max()
        .item(),
    ).toBeLessThan(0.2)
  })
})

describe('quantisation', () => {
  it('NaN gives 0 as an integer and stays NaN as a float', () => {
    for (const engine of engineNames()) {
      setEngine(engine)
      expect(quantize(tensor([NaN, 1]), { scale: 0.5, zeroPoint: 7 }).toArray()).toEqual([0, 9])
      expect(fakeQuantize(tensor([NaN, 1.1]), { scale: 0.5 }).toArray()).toEqual([NaN, 1])
    }
  })

  it('half floats are quantised as the float32 numbers that they are', () => {
    const x = tensor([0.3, -1.7], { dtype: 'float16' })
    const y = fakeQuantize(x, { scale: 0.1 })
    expect(y.dtype).toBe('float16')
    expect(quantize(x, { scale: 0.1 }).toArray()).toEqual(quantize(x.cast('float32'), { scale: 0.1 }).toArray())
    expect(dequantize(quantize(x, { scale: 0.1 }), { scale: 0.1, dtype: 'float16' }).toArray()).toEqual(y.toArray())
  })

  it('scales have a gradient in dequantize', () => {
    const scale = tensor([0.5, 2]).setRequiresGrad()
    dequantize(tensor([[3, 4]], { dtype: 'int8' }), { scale, zeroPoint: 1, axis: 1 })
      .sum()
      .backward()
    expect(scale.grad!.toArray()).toEqual([2, 3])
  })

  it.each<[string, string, () => unknown]>([
    ['a scale of zero', 'invalid-argument', () => quantize(tensor([1]), { scale: 0 })],
    ['no scale', 'invalid-argument', () => quantize(tensor([1]), { scale: NaN })],
    ['a zero point that int8 lacks', 'invalid-argument', () => quantize(tensor([1]), { scale: 1, zeroPoint: 200 })],
    ['a zero point of a fraction', 'invalid-argument', () => fakeQuantize(tensor([1]), { scale: 1, zeroPoint: 0.5 })],
    ['zero points of floats', 'invalid-argument', () => quantize(tensor([1]), { scale: 1, zeroPoint: tensor([1]) })],
    ['bounds beyond the dtype', 'invalid-argument', () => quantize(tensor([1]), { scale: 1, max: 128 })],
    ['bounds the wrong way round', 'invalid-argument', () => fakeQuantize(tensor([1]), { scale: 1, min: 5, max: 5 })],
    ['another dtype', 'dtype-mismatch', () => quantize(tensor([1]), { scale: 1, dtype: 'int64' as 'int8' })],
    ['scales without an axis', 'shape-mismatch', () => quantize(tensor([1, 2]), { scale: tensor([1, 2]) })],
    ['scales for another axis', 'shape-mismatch', () => quantize(tensor([[1, 2, 3]]), { scale: tensor([1, 2]), axis: 1 })],
    ['floats that are none', 'dtype-mismatch', () => dequantize(tensor([1]), { scale: 1 })],
    ['integers of floats', 'dtype-mismatch', () => dequantize(tensor([1], { dtype: 'int8' }), { scale: 1, dtype: 'int32' })],
    ['a result that is too narrow', 'dtype-mismatch', () => matmul(tensor([[1]]), tensor([[1]]), { dtype: 'int32' })],
    ['int8 for mixed bytes', 'dtype-mismatch', () => matmul(filled('uint8', [1, 1], 1), filled('int8', [1, 1], 1), { dtype: 'int8' })],
  ])('%s', (_, code, f) => expect(codeOf(f)).toBe(code))
})
