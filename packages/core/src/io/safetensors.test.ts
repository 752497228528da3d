import { readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DType, dtypeInfo, dtypes } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type ArrayRecord, recordElements } from './array-record.ts'
import { decodeSafetensors, encodeSafetensors } from './safetensors.ts'

const golden = new URL('../../../../test/golden/io/', import.meta.url)

/** A file of this header text (or bytes) and this many bytes of data. */
function fileOf(header: string | Uint8Array, dataBytes = 0, claimed?: bigint): Uint8Array {
  const text = typeof header === 'string' ? new TextEncoder().encode(header) : header
  const file = new Uint8Array(8 + text.length + dataBytes)
  new DataView(file.buffer).setBigUint64(0, claimed ?? BigInt(text.length), true)
  file.set(text, 8)
  return file
}

const tensor = (facts: object = {}) => JSON.stringify({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...facts })

function failure(run: () => unknown): CotangentError {
  try {
    run()
  } catch (error) {
    if (error instanceof CotangentError) return error
    throw error
  }
  throw new Error('nothing was thrown')
}

const record = (dtype: DType, shape: number[], fill = 1): ArrayRecord => ({
  dtype,
  shape,
  bytes: new Uint8Array(shape.reduce((a, b) => a * b, dtypeInfo[dtype].size)).fill(fill),
})

describe('files of the reference implementation', () => {
  const file = new Uint8Array(readFileSync(new URL('reference.safetensors', golden)))
  const expected = JSON.parse(readFileSync(new URL('reference.json', golden), 'utf8')) as {
    metadata: Record<string, string>
    tensors: Record<string, { dtype: string; shape: number[]; hex: string }>
  }

  it('are read bit for bit', () => {
    const { tensors, metadata } = decodeSafetensors(file)
    expect(metadata).toEqual(expected.metadata)
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')
    expect(Object.fromEntries([...tensors].map(([name, t]) => [name, { dtype: t.dtype, shape: t.shape, hex: hex(t.bytes) }]))).toEqual(
      expected.tensors,
    )
  })

  it('are written byte for byte', () => {
    const { tensors, metadata } = decodeSafetensors(file)
    expect(encodeSafetensors([...tensors].reverse(), metadata)).toEqual(file)
  })
})

describe('round trip', () => {
  const records = fc.array(
    fc
      .tuple(fc.string({ unit: 'grapheme' }), fc.constantFrom(...dtypes), fc.array(fc.nat(4), { maxLength: 4 }))
      .chain(([name, dtype, shape]) => {
        const length = shape.reduce((a, b) => a * b, dtypeInfo[dtype].size)
        return fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => [name, { dtype, shape, bytes }] as const)
      })
      .filter(([name]) => name !== '__metadata__' && name !== '__proto__'),
  )
  const metadatas = fc.dictionary(
    fc.string({ unit: 'grapheme' }).filter((key) => key !== '__metadata__' && key !== '__proto__'),
    fc.string({ unit: 'grapheme' }),
    { noNullPrototype: true },
  )

  it('gives back every name, dtype, shape, byte and metadata, aligned, whatever the order', () => {
    fc.assert(
      fc.property(records, metadatas, (entries, metadata) => {
        const unique = new Map(entries)
        const file = encodeSafetensors(unique, metadata)
        expect(encodeSafetensors([...unique].reverse(), metadata)).toEqual(file)
        const read = decodeSafetensors(file)
        expect(read.metadata).toEqual(metadata)
        expect(new Map([...read.tensors].sort())).toEqual(new Map([...unique].sort()))
        for (const t of read.tensors.values()) {
          expect(t.bytes.byteOffset % dtypeInfo[t.dtype].size).toBe(0)
          expect(t.bytes.buffer).toBe(file.buffer)
        }
      }),
    )
  })

  it('refuses every file that was cut short, and never throws anything but a CotangentError on random damage', () => {
    const file = encodeSafetensors([
      ['weight', record('float32', [2, 3])],
      ['bias', record('int8', [3])],
    ])
    for (let length = 0; length < file.length; length++)
      expect(failure(() => decodeSafetensors(file.subarray(0, length))).code).toBe('corrupt-file')
    fc.assert(
      fc.property(fc.nat(file.length - 1), fc.nat(255), (at, byte) => {
        const damaged = file.slice()
        damaged[at] = byte
        try {
          decodeSafetensors(damaged)
        } catch (error) {
          expect(error).toBeInstanceOf(CotangentError)
        }
      }),
      { numRuns: 2000 },
    )
  })
})

it('reads no tensors, views in the middle of a buffer, shared memory, and Buffers', () => {
  expect(decodeSafetensors(encodeSafetensors([]))).toEqual({ tensors: new Map(), metadata: {} })
  const file = encodeSafetensors([['x', { dtype: 'float32', shape: [2], bytes: new Uint8Array(new Float32Array([1, -2]).buffer) }]])
  for (const buffer of [new ArrayBuffer(file.length + 3), new SharedArrayBuffer(file.length + 3)]) {
    const unaligned = new Uint8Array(buffer, 3)
    unaligned.set(file)
    const x = decodeSafetensors(unaligned).tensors.get('x')!
    expect(x.bytes.buffer).toBe(buffer)
    expect(recordElements(x)).toEqual(new Float32Array([1, -2]))
  }
  const x = decodeSafetensors(Buffer.concat([Buffer.alloc(3), file]).subarray(3)).tensors.get('x')!
  expect(x.bytes.constructor).toBe(Uint8Array)
  expect(recordElements(x)).toEqual(new Float32Array([1, -2]))
})

describe('hostile files are refused', () => {
  const twoTensors = (a: [number, number], b: [number, number]) => `{"a":${tensor({ data_offsets: a })},"b":${tensor({ data_offsets: b })}}`
  const cases: [name: string, file: Uint8Array, message: RegExp][] = [
    ['empty file', new Uint8Array(0), /0 bytes, fewer than the 8/],
    ['short file', new Uint8Array(7), /7 bytes, fewer than the 8/],
    ['header longer than the file', fileOf('{}', 0, 3n), /claims 3 bytes, but only 2 follow/],
    ['header of 100 MB and more', fileOf('{}', 0, 100_000_001n), /more than the 100 MB/],
    ['header of 2^64 - 1', fileOf('{}', 0, 2n ** 64n - 1n), /more than the 100 MB/],
    ['header of no bytes', fileOf(''), /does not begin with "\{"/],
    ['header not UTF-8', fileOf(new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x7d])), /not UTF-8/],
    ['byte order mark', fileOf('\ufeff{}'), /does not begin with "\{"/],
    ['header not an object', fileOf('[]'), /does not begin with "\{"/],
    ['header not JSON', fileOf('{"a":}'), /not JSON/],
    ['two objects', fileOf('{}{}'), /not JSON/],
    ['open string', fileOf('{"a'), /string does not end/],
    ['bad escape in a name', fileOf('{"\\x":1}'), /not JSON/],
    ['crossed brackets', fileOf('{"a":[}]'), /unexpected "\}"/],
    ['unclosed', fileOf('{"a":{'), /not JSON/],
    ['zero bytes after the header', fileOf('{}\0\0\0\0\0\0'), /not JSON/],
    ['deep nesting', fileOf(`{"a":${'['.repeat(1_000_000)}`), /nested more than 3 deep/],
    ['deep nesting in metadata', fileOf(`{"__metadata__":{"a":{"b":{}}}}`), /nested more than 3 deep/],
    ['duplicate tensors', fileOf(`{"a":${tensor()},"a":${tensor()}}`, 8), /"a" appears twice/],
    ['duplicate by escape', fileOf(`{"a":${tensor()},"\\u0061" :${tensor({ data_offsets: [8, 16] })}}`, 16), /"a" appears twice/],
    ['duplicate field', fileOf('{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}}', 8), /"dtype" appears twice/],
    ['duplicate metadata', fileOf('{"__metadata__":{"k":"1","k":"2"}}'), /"k" appears twice/],
    ['__proto__ as a tensor', fileOf(`{"__proto__":${tensor()}}`, 8), /"__proto__" is not allowed/],
    ['__proto__ in metadata', fileOf('{"__metadata__":{"__proto__":"x"}}'), /"__proto__" is not allowed/],
    ['half a surrogate pair', fileOf(`{"\\ud800":${tensor()}}`, 8), /is not allowed/],
    ['metadata not an object', fileOf('{"__metadata__":["x"]}'), /"__metadata__" is not an object/],
    ['metadata not strings', fileOf('{"__metadata__":{"k":1}}'), /"k" is not a string/],
    ['tensor not an object', fileOf('{"a":null}'), /something other than an object/],
    ['tensor an array', fileOf('{"a":[1]}'), /something other than an object/],
    ['no dtype', fileOf('{"a":{"shape":[],"data_offsets":[0,4]}}', 4), /has no dtype/],
    ['unknown dtype', fileOf(`{"a":${tensor({ dtype: 'F33' })}}`, 8), /unknown dtype "F33"/],
    ['dtype of the prototype', fileOf(`{"a":${tensor({ dtype: 'toString' })}}`, 8), /unknown dtype "toString"/],
    ['lower-case dtype', fileOf(`{"a":${tensor({ dtype: 'f32' })}}`, 8), /unknown dtype "f32"/],
    ['no shape', fileOf(`{"a":${tensor({ shape: undefined })}}`, 8), /has no shape/],
    ['negative size', fileOf(`{"a":${tensor({ shape: [-2] })}}`, 8), /no whole number.*\[-2\]/],
    ['minus zero', fileOf('{"a":{"dtype":"F32","shape":[-0],"data_offsets":[0,0]}}'), /no whole number/],
    ['fractional size', fileOf(`{"a":${tensor({ shape: [1.5] })}}`, 8), /no whole number.*\[1.5\]/],
    ['size as text', fileOf(`{"a":${tensor({ shape: ['2'] })}}`, 8), /no whole number/],
    ['size past 2^53', fileOf('{"a":{"dtype":"F32","shape":[9007199254740993],"data_offsets":[0,8]}}', 8), /no whole number/],
    ['infinite size', fileOf('{"a":{"dtype":"F32","shape":[1e999],"data_offsets":[0,8]}}', 8), /no whole number/],
    ['overflowing shape', fileOf(`{"a":${tensor({ shape: [2 ** 32, 2 ** 32, 2 ** 32] })}}`, 8), /overflows/],
    ['shape that overflows 64 bits to 8', fileOf(`{"a":${tensor({ shape: [2 ** 40, 2 ** 24, 2] })}}`, 8), /overflows/],
    ['no offsets', fileOf(`{"a":${tensor({ data_offsets: undefined })}}`, 8), /no valid data_offsets/],
    ['three offsets', fileOf(`{"a":${tensor({ data_offsets: [0, 4, 8] })}}`, 8), /no valid data_offsets/],
    ['negative offset', fileOf(`{"a":${tensor({ data_offsets: [-8, 0] })}}`, 8), /no valid data_offsets/],
    ['fractional offset', fileOf(`{"a":${tensor({ data_offsets: [0.5, 8.5] })}}`, 16), /no valid data_offsets/],
    ['offsets out of order', fileOf(`{"a":${tensor({ data_offsets: [8, 0] })}}`, 8), /out of order: 8 to 0/],
    ['too few bytes for the shape', fileOf(`{"a":${tensor({ data_offsets: [0, 4] })}}`, 4), /takes 4 bytes, where F32 \[2\] needs 8/],
    ['too many bytes for the shape', fileOf(`{"a":${tensor({ shape: [1] })}}`, 8), /takes 8 bytes, where F32 \[1\] needs 4/],
    ['outside the file', fileOf(`{"a":${tensor()}}`, 7), /ends at byte 8 of the data, which has only 7/],
    ['far outside the file', fileOf(`{"a":${tensor({ data_offsets: [2 ** 50, 2 ** 50 + 8] })}}`, 8), /which has only 8/],
    ['same bytes twice', fileOf(twoTensors([0, 8], [0, 8]), 8), /"b" overlaps/],
    ['partial overlap', fileOf(twoTensors([0, 8], [4, 12]), 12), /"b" overlaps the one before it: it begins at byte 4, not 8/],
    ['hole at the start', fileOf(`{"a":${tensor({ data_offsets: [4, 12] })}}`, 12), /hole of 4 bytes before tensor "a"/],
    ['hole between', fileOf(twoTensors([0, 8], [16, 24]), 24), /hole of 8 bytes before tensor "b"/],
    ['trailing bytes', fileOf(`{"a":${tensor()}}`, 9), /1 bytes after the last tensor/],
    ['bytes of no tensor', fileOf('{}', 4), /4 bytes after the last tensor/],
  ]
  it.each(cases)('%s', (_, file, message) => {
    const error = failure(() => decodeSafetensors(file))
    expect(error.code).toBe('corrupt-file')
    expect(error.message).toMatch(message)
    expect(error.message.length).toBeLessThan(300)
    expect(error.hint).toBeTruthy()
  })

  it('but tensors in any header order, empty tensors and unknown fields are not', () => {
    const { tensors } = decodeSafetensors(
      fileOf(`{"b":${tensor({ data_offsets: [8, 16] })},"e":${tensor({ shape: [0], data_offsets: [8, 8], x: 1 })},"a":${tensor()}}  `, 16),
    )
    expect([...tensors.keys()]).toEqual(['a', 'e', 'b'])
  })

  it('and a dtype that only the format has is unsupported, not corrupt', () => {
    for (const dtype of ['U16', 'I16', 'U32', 'U64', 'F8_E4M3', 'F8_E5M2', 'C64']) {
      expect(failure(() => decodeSafetensors(fileOf(`{"a":${tensor({ dtype })}}`, 8)))).toMatchObject({
        code: 'unsupported',
        message: expect.stringContaining(dtype),
      })
    }
  })
})

it('refuses to write what it would refuse to read', () => {
  const x = record('float32', [2])
  const refusals: [() => unknown, RegExp][] = [
    [() => encodeSafetensors([['__proto__', x]]), /"__proto__" cannot be a tensor name/],
    [() => encodeSafetensors([['__metadata__', x]]), /"__metadata__" cannot be a tensor name/],
    [() => encodeSafetensors([['\ud800', x]]), /half a surrogate pair/],
    [
      () =>
        encodeSafetensors([
          ['a', x],
          ['a', x],
        ]),
      /"a" is given twice/,
    ],
    [
      () => encodeSafetensors([['a', { ...x, shape: [3] }]]),
      /has 8 bytes, which its shape and dtype do not take \(shape \[3\]; dtype float32\)/,
    ],
    [() => encodeSafetensors([['a', { ...x, shape: [-2] }]]), /do not take/],
    [() => encodeSafetensors([], { k: 1 as unknown as string }), /metadata "k" is not a string/],
    [() => encodeSafetensors([], JSON.parse('{"__proto__":"x"}')), /"__proto__" cannot be a metadata key/],
    [() => encodeSafetensors([], { k: '\udc00' }), /half a surrogate pair/],
  ]
  for (const [run, message] of refusals)
    expect(failure(run)).toMatchObject({ code: 'invalid-argument', message: expect.stringMatching(message) })
})
