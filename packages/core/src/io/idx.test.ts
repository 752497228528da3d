import { expect, it } from 'vitest'
import { recordElements } from './array-record.ts'
import { decodeIdx } from './idx.ts'

function idx(code: number, shape: number[], body: number[] | Uint8Array): Uint8Array {
  const file = new Uint8Array(4 + 4 * shape.length + body.length)
  file.set([0, 0, code, shape.length])
  shape.forEach((size, i) => new DataView(file.buffer).setUint32(4 + 4 * i, size))
  file.set(body, 4 + 4 * shape.length)
  return file
}

it.each([
  ['uint8', 0x08, [1, 255], 'uint8', new Uint8Array([1, 255])],
  ['int8', 0x09, [1, 255], 'int8', new Int8Array([1, -1])],
  ['int16', 0x0b, [0x7f, 0xff, 0xff, 0xfe], 'int32', new Int32Array([32767, -2])],
  ['int32', 0x0c, [0, 0, 1, 0, 0xff, 0xff, 0xff, 0xff], 'int32', new Int32Array([256, -1])],
  ['float32', 0x0d, [0x3f, 0x80, 0, 0, 0xc0, 0x20, 0, 0], 'float32', new Float32Array([1, -2.5])],
  ['float64', 0x0e, [0x3f, 0xf0, 0, 0, 0, 0, 0, 0, 0xc0, 0x04, 0, 0, 0, 0, 0, 0], 'float64', new Float64Array([1, -2.5])],
] as const)('reads %s', (_, code, body, dtype, elements) => {
  const record = decodeIdx(idx(code, [1, 2], [...body]))
  expect(record).toMatchObject({ dtype, shape: [1, 2] })
  expect(recordElements(record)).toEqual(elements)
})

it('reads a view in the middle of a buffer without copying bytes', () => {
  const file = idx(0x08, [2, 2], [1, 2, 3, 4])
  const buffer = new Uint8Array(file.length + 5)
  buffer.set(file, 5)
  const record = decodeIdx(buffer.subarray(5))
  expect(record.bytes).toEqual(new Uint8Array([1, 2, 3, 4]))
  expect(record.bytes.buffer).toBe(buffer.buffer)
})

it.each([
  ['gzip', new Uint8Array([0x1f, 0x8b, 8, 0]), /compressed with gzip/],
  ['empty', new Uint8Array(0), /0 bytes, fewer than the 4/],
  ['not idx', new TextEncoder().encode('<html>not found</html>'), /does not begin with two zero bytes/],
  ['unknown type', idx(0x0a, [1], [0]), /unknown element type 0x0a/],
  ['cut in the sizes', idx(0x08, [2, 2], []).subarray(0, 9), /ends inside its 2 sizes/],
  ['cut in the elements', idx(0x08, [2, 2], [1, 2, 3]), /shape \[2, 2\] needs 4 bytes, but the file holds 3/],
  ['too long', idx(0x0c, [1], [0, 0, 0, 1, 0]), /needs 4 bytes, but the file holds 5/],
  ['overflow', idx(0x0e, [2 ** 32 - 1, 2 ** 32 - 1, 2 ** 32 - 1], []), /overflows/],
])('refuses %s', (_, file, message) => {
  expect(() => decodeIdx(file)).toThrow(
    expect.objectContaining({ code: 'corrupt-file', message: expect.stringMatching(message), hint: expect.any(String) }),
  )
})
