import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import type { Tensor } from 'cotangent'
import { afterAll, describe, expect, test } from 'vitest'
import { all } from '../../test/all.ts'
import { crc32c } from './crc32c.ts'
import { encodeRecord, RecordDecoder } from './framing.ts'
import {
  buildExample,
  encodeRecords,
  type Features,
  fixedLength,
  inspectExample,
  parseExample,
  readExamples,
  readRecords,
  TFRecordWriter,
  variableLength,
} from './index.node.ts'

const fixtures = join(import.meta.dirname, '../../test/fixtures')
const folder = mkdtempSync(join(tmpdir(), 'cotangent-tfrecord-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const values = (t: Tensor) => Array.from(t.dataSync() as ArrayLike<number | bigint>)
const records = (n: number) => Array.from({ length: n }, (_, i) => Uint8Array.from({ length: i * 37 }, (_, j) => i + j))

const features = {
  id: fixedLength('int32'),
  name: fixedLength('string'),
  image: fixedLength('bytes'),
  vector: fixedLength('float32', [2, 2]),
  tokens: variableLength('int64'),
  extremes: fixedLength('int64', [3]),
  sometimes: fixedLength('float32', [], { default: -1 }),
}

test('CRC-32C', () => {
  // RFC 3720, appendix B.4, and the check value of the CRC catalogue.
  expect(crc32c(new Uint8Array(32))).toBe(0x8a9136aa)
  expect(crc32c(new Uint8Array(32).fill(255))).toBe(0x62a8ab43)
  expect(crc32c(Uint8Array.from({ length: 32 }, (_, i) => i))).toBe(0x46dd794e)
  expect(crc32c(new TextEncoder().encode('123456789'))).toBe(0xe3069283)
  expect(crc32c(new Uint8Array(0))).toBe(0)
})

describe("files of TensorFlow's kind", () => {
  test.each(['examples.tfrecord', 'examples.tfrecord.gz'])('%s', async (file) => {
    const rows = await all(readExamples(join(fixtures, file), features))
    expect(rows.map(({ id }) => id)).toEqual([0, 1, 2, 3, 4])
    expect(rows[3]!.name).toBe('größe 3')
    expect([...rows[3]!.image]).toEqual([0, 1, 2])
    expect(rows[3]!.vector.shape).toEqual([2, 2])
    expect(values(rows[3]!.vector)).toEqual([3, 1, Math.fround(-1e30), Number.NaN])
    expect(values(rows[2]!.tokens)).toEqual([-2n, -1n, 0n, 1n])
    expect(rows[0]!.tokens.shape).toEqual([0])
    expect(values(rows[0]!.extremes)).toEqual([2n ** 63n - 1n, -(2n ** 63n), 0n])
    expect(rows.map(({ sometimes }) => sometimes)).toEqual([-1, 1.5, -1, 4.5, -1])
  })

  test('a source can be gone through again, and from any position', async () => {
    const source = readExamples(join(fixtures, 'examples.tfrecord'), features)
    expect(await all(source)).toHaveLength(5)
    const reader = await source.open()
    await reader.next()
    const second = await reader.next()
    const position = reader.position!()
    await reader.close!()
    expect(second!.place!.offset).toBeGreaterThan(0)
    const resumed = await source.open(position)
    expect((await resumed.next())!.value.id).toBe(2)
    await resumed.close!()
  })

  test('unknown features can be looked at', async () => {
    const [, second] = await all(readRecords(join(fixtures, 'examples.tfrecord')))
    const found = inspectExample(second!)
    expect(Object.keys(found).sort()).toEqual(Object.keys(features).sort())
    expect(found.sometimes).toEqual(Float32Array.of(1.5))
  })
})

describe('round trips', () => {
  test.each(['none', 'gzip', 'zlib'] as const)('%s', async (compression) => {
    const path = join(folder, `${compression}.tfrecord`)
    await using writer = new TFRecordWriter(path, { compression })
    for (const record of records(50)) await writer.write(record)
    await writer.close()
    const options = compression === 'zlib' ? { compression } : {}
    expect(await all(readRecords(path, options))).toEqual(records(50))
    const stream = encodeRecords(records(50), { compression })
    expect(await all(readRecords(stream, options))).toEqual(records(50))
  })

  test('rows', () => {
    const spec = { ...features, flag: fixedLength('bool'), many: variableLength('string') }
    const row = {
      id: 7,
      name: 'x',
      image: Uint8Array.of(1, 2),
      vector: Float32Array.of(1, 2, 3, 4),
      tokens: [5, -6],
      extremes: [1n, 2n, 3n],
      sometimes: 0.5,
      flag: true,
      many: ['a', 'ß'],
    }
    const back = parseExample(buildExample(row, spec), spec)
    expect({ ...back, vector: values(back.vector), tokens: values(back.tokens), extremes: values(back.extremes) }).toEqual({
      ...row,
      vector: [1, 2, 3, 4],
      tokens: [5n, -6n],
    })
    expect(
      values(parseExample(buildExample({ t: back.vector }, { t: fixedLength('float32', [4]) }), { t: variableLength('float32') }).t),
    ).toEqual([1, 2, 3, 4])
  })

  test('bytes may come in any pieces', () => {
    const file = Buffer.concat(records(9).map(encodeRecord))
    for (const size of [1, 7, 100]) {
      const decoder = new RecordDecoder()
      const got: Uint8Array[] = []
      for (let i = 0; i < file.length; i += size) {
        decoder.push(file.subarray(i, i + size))
        for (let record = decoder.next(); record; record = decoder.next()) got.push(record.data)
      }
      decoder.end()
      expect(got).toEqual(records(9))
    }
  })
})

describe('damage', () => {
  const good = readFileSync(join(fixtures, 'examples.tfrecord'))
  const file = (name: string, bytes: Uint8Array) => {
    const path = join(folder, name)
    writeFileSync(path, bytes)
    return path
  }
  const flip = (at: number) => {
    const bad = Uint8Array.from(good)
    bad[at]! ^= 0x40
    return bad
  }

  test.each([
    ['cut.tfrecord', good.subarray(0, good.length - 3), 'the file ends inside a record'],
    ['length.tfrecord', flip(5), 'byte 0: the length of a record does not match its checksum'],
    ['text.tfrecord', new TextEncoder().encode('id,name\n1,two\n'), 'It is no TFRecord file'],
    ['cut.tfrecord.gz', gzipSync(good).subarray(0, 100), 'compressed with gzip, but damaged or cut short'],
  ])('%s', async (name, bytes, message) => {
    const path = file(name, bytes)
    const error = await all(readRecords(path)).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'corrupt-file' })
    expect((error as Error).message).toContain(message)
    expect((error as Error).message).toContain(path)
  })

  test('a record with bad data is left out if one goes on', async () => {
    const path = file('data.tfrecord', flip(20))
    const reader = await readRecords(path).open()
    await expect(Promise.resolve(reader.next())).rejects.toMatchObject({
      code: 'bad-record',
      message: expect.stringMatching(`^readRecords: ${path}, byte 0: the data of the record`),
    })
    const rest = []
    for (let item = await reader.next(); item; item = await reader.next()) rest.push(item)
    expect(rest).toHaveLength(4)
    await reader.close!()
  })

  test('a length that nobody has room for', async () => {
    const huge = new Uint8Array(100)
    huge.set(encodeRecord(new Uint8Array(3)))
    const head = new DataView(huge.buffer)
    head.setUint32(4, 0x7fffffff, true)
    const crc = crc32c(huge.subarray(0, 8))
    head.setUint32(8, (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0, true)
    await expect(all(readRecords(huge))).rejects.toMatchObject({ code: 'corrupt-file', message: expect.stringContaining('maxRecordBytes') })
  })

  test('features that do not fit say which record', async () => {
    const path = join(fixtures, 'examples.tfrecord')
    const wrong = [
      [{ id: fixedLength('float32') }, '"id" is kept as integers, not floats'],
      [{ nothing: fixedLength('float32') }, '"nothing" is missing'],
      [{ vector: fixedLength('float32', [3]) }, '"vector" has 4 values, not the 3 of shape [3]'],
      [{ extremes: fixedLength('int32', [3]) }, 'holds 9223372036854775807, which is no int32'],
    ] as const
    for (const [given, message] of wrong) {
      const spec: Features = given
      await expect(all(readExamples(path, spec))).rejects.toMatchObject({ code: 'bad-record', message: expect.stringContaining(message) })
      await expect(all(readExamples(path, spec))).rejects.toThrow(`${path} (byte 0)`)
    }
    await expect(all(readRecords(join(folder, 'absent')))).rejects.toMatchObject({ code: 'io-failure' })
  })

  test('random damage gives records or an error of ours', async () => {
    let seed = 1
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n
    for (let round = 0; round < 300; round++) {
      const bytes = Uint8Array.from(round % 2 ? good : gunzipSync(readFileSync(join(fixtures, 'examples.tfrecord.gz'))))
      for (let i = 0; i <= random(4); i++) bytes[random(bytes.length)] = random(256)
      const cut = bytes.subarray(0, random(3) ? bytes.length : random(bytes.length))
      const error = await all(readExamples(cut, features)).catch((e: unknown) => e)
      if (!Array.isArray(error)) expect(['corrupt-file', 'bad-record']).toContain((error as { code: string }).code)
      // Without the checksums in front of it, the decoder of messages stands for itself.
      const mutated = Uint8Array.from(good.subarray(12, 212))
      for (let i = 0; i <= random(6); i++) mutated[random(mutated.length)] = random(256)
      try {
        inspectExample(mutated.subarray(0, random(mutated.length)))
      } catch (e) {
        expect(e).toMatchObject({ code: 'corrupt-file' })
      }
    }
  })
})
