import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { dtypeInfo, dtypes } from '../dtype.ts'
import { decodeNpy, encodeNpy } from './npy.ts'

const { cases } = JSON.parse(readFileSync(new URL('../../../../test/golden/io/npy.json', import.meta.url), 'utf8')) as {
  cases: { name: string; file: string; dtype: string; shape: number[]; hex: string }[]
}
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

it.each(cases)("reads NumPy's $name", ({ file, dtype, shape, hex: expected }) => {
  const record = decodeNpy(new Uint8Array(Buffer.from(file, 'base64')))
  expect({ ...record, bytes: hex(record.bytes) }).toEqual({ dtype, shape, bytes: expected })
})

it('reads back what it writes, with the data at a multiple of 64', () => {
  const records = fc
    .tuple(fc.constantFrom(...dtypes.filter((d) => d !== 'bfloat16')), fc.array(fc.nat(4), { maxLength: 5 }))
    .chain(([dtype, shape]) => {
      const length = shape.reduce((a, b) => a * b, dtypeInfo[dtype].size)
      return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => ({ dtype, shape, bytes }))
    })
  fc.assert(
    fc.property(records, (record) => {
      const file = encodeNpy(record)
      const read = decodeNpy(file)
      expect(read).toEqual(record)
      expect(read.bytes.byteOffset % 64).toBe(0)
      expect(file[read.bytes.byteOffset - 1]).toBe(0x0a)
    }),
  )
})

describe('refuses', () => {
  function npy(header: string, dataBytes = 0, version = 1): Uint8Array {
    const file = new Uint8Array((version === 1 ? 10 : 12) + header.length + dataBytes)
    file.set([0x93, ...new TextEncoder().encode('NUMPY'), version, 0])
    new DataView(file.buffer).setUint16(8, header.length, true)
    file.set(new TextEncoder().encode(header), version === 1 ? 10 : 12)
    return file
  }
  const header = (descr: string, shape: string, order = 'False') => `{'descr': ${descr}, 'fortran_order': ${order}, 'shape': ${shape}, }\n`

  it.each([
    ['no npy', new TextEncoder().encode('PK\x03\x04 an npz'), /magic/],
    ['an empty file', new Uint8Array(0), /magic/],
    ['an unknown version', npy('', 0, 4), /version 4.0/],
    ['a missing header', npy('').subarray(0, 9), /ends before its header/],
    ['a cut header', npy(header("'<f4'", '(2,)')).subarray(0, 40), /header claims/],
    ['code for a header', npy('__import__("os").system("true")'), /not a Python dictionary/],
    ['other entries', npy("{'descr': '<f4', 'evil': 1}"), /does not define: "'evil': 1"/],
    ['an entry twice', npy("{'descr': '<f4', 'descr': '<f8', 'fortran_order': False, 'shape': ()}"), /descr twice/],
    ['no descr', npy("{'fortran_order': False, 'shape': ()}", 4), /no descr/],
    ['no order', npy("{'descr': '<f4', 'shape': ()}", 4), /no fortran_order/],
    ['no shape', npy("{'descr': '<f4', 'fortran_order': False}", 4), /no shape/],
    ['a broken shape', npy(header("'<f4'", '(2,,2)'), 16), /no whole number/],
    ['an overflowing shape', npy(header("'<f4'", '(4294967296, 4294967296)'), 16), /overflows/],
    ['a huge size', npy(header("'<f4'", '(9007199254740993,)'), 16), /no whole number/],
    ['cut data', npy(header("'<f4'", '(2,)'), 7), /needs 8 bytes, but the file holds 7/],
    ['trailing data', npy(header("'<f4'", '(2,)'), 9), /needs 8 bytes, but the file holds 9/],
  ])('%s', (_, file, message) => {
    expect(() => decodeNpy(file)).toThrow(expect.objectContaining({ code: 'corrupt-file', message: expect.stringMatching(message) }))
  })

  it.each(["'|O'", "'<U5'", "'<i2'", "'<u8'", "'<c8'", "'<V2'", "[('a', '<f4')]"])('elements of type %s as unsupported', (descr) => {
    expect(() => decodeNpy(npy(header(descr, '(2,)'), 8))).toThrow(
      expect.objectContaining({ code: 'unsupported', hint: expect.stringContaining('astype') }),
    )
  })

  it('to write bfloat16 and bytes that do not fit', () => {
    expect(() => encodeNpy({ dtype: 'bfloat16', shape: [1], bytes: new Uint8Array(2) })).toThrow(/NumPy has no bfloat16/)
    expect(() => encodeNpy({ dtype: 'float32', shape: [2], bytes: new Uint8Array(4) })).toThrow(/has 4 bytes/)
  })
})
