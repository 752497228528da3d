import fc from 'fast-check'
import { afterAll, describe, expect, test } from 'vitest'
import { engineNames, maxPool2d, setEngine, type Tensor, tensor } from '../index.ts'

const before = 'wasm'
afterAll(() => void setEngine(before))

/** The largest of each window of one image of one channel, and where it is; the first of equal ones, and the first NaN before all. */
function plain(x: readonly number[], width: number, kernel: number, stride: number, dilation: number) {
  const count = (n: number) => Math.floor((n - dilation * (kernel - 1) - 1) / stride) + 1
  const [rows, columns] = [count(x.length / width), count(width)]
  const values: number[] = []
  const places: number[] = []
  for (let window = 0; window < rows * columns; window++) {
    const start = Math.floor(window / columns) * stride * width + (window % columns) * stride
    let best = -1
    for (let tap = 0; tap < kernel * kernel; tap++) {
      const place = start + (Math.floor(tap / kernel) * width + (tap % kernel)) * dilation
      const [value, old] = [x[place]!, x[best]!]
      if (best < 0 || value > old || (Number.isNaN(value) && !Number.isNaN(old))) best = place
    }
    values.push(x[best]!)
    places.push(best)
  }
  return { values, places, shape: [1, rows, columns, 1] }
}

const image = fc.integer({ min: 5, max: 9 }).chain((width) =>
  fc.record({
    width: fc.constant(width),
    // Few different numbers, so that many are equal.
    pixels: fc.array(fc.constantFrom(0, -0, 1, 2, -3, Number.NaN, Number.NEGATIVE_INFINITY), {
      minLength: width * 7,
      maxLength: width * 7,
    }),
    kernel: fc.integer({ min: 1, max: 3 }),
    stride: fc.integer({ min: 1, max: 4 }),
    dilation: fc.integer({ min: 1, max: 2 }),
    dtype: fc.constantFrom('float32', 'float64', 'float16', 'int32', 'uint8'),
    transposed: fc.boolean(),
  }),
)

describe.each(engineNames())('on %s', (engine) => {
  test('max pooling gives the first largest element of each window and its position', () => {
    setEngine(engine)
    fc.assert(
      fc.property(image, ({ width, pixels, kernel, stride, dilation, dtype, transposed }) => {
        const made = tensor(pixels, { shape: [1, 7, width, 1] }).cast(dtype) as Tensor
        const x = transposed ? (made.permute([0, 2, 1, 3]).contiguous().permute([0, 2, 1, 3]) as Tensor) : made
        const expected = plain(Array.from(made.dataSync() as ArrayLike<number>, Number), width, kernel, stride, dilation)
        const [values, places] = maxPool2d(x, kernel, { stride, dilation, returnIndices: true }) as [Tensor, Tensor]
        expect(values.shape).toEqual(expected.shape)
        expect(values.dtype).toBe(dtype)
        expect(Array.from(values.dataSync() as ArrayLike<number>, (v) => Number(v) + 0)).toEqual(expected.values.map((v) => v + 0))
        expect(Array.from(places.dataSync() as ArrayLike<number>, Number)).toEqual(expected.places)
      }),
    )
  })
})
