import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import '../../index.ts'
import { gunzip } from '../bytes.ts'
import { Dataset } from '../dataset.ts'
import { fileBytes } from '../file-bytes.node.ts'
import { elementsOf, expectResumes } from '../test/resume.ts'
import { readIdx } from './idx.ts'
import { jsonLines, textLines } from './text-lines.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'lines-'))
})
afterAll(() => rm(folder, { recursive: true }))
const bytes = (text: string) => new TextEncoder().encode(text)
async function file(name: string, content: string | Uint8Array, chunkBytes?: number) {
  await writeFile(join(folder, name), content)
  return fileBytes(join(folder, name), chunkBytes === undefined ? {} : { chunkBytes })
}

describe('textLines', () => {
  test('are those of split, whatever the ends and the chunks', async () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'é', '€', '😀', '\t', '\uFEFF'), maxLength: 8 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(line),
        fc.constantFrom('\n', '\r\n'),
        fc.boolean(),
        fc.integer({ min: 1, max: 9 }),
        async (lines, end, last, chunk) => {
          const text = lines.join(end) + (last && lines.length > 0 ? end : '')
          const expected = text === '' ? [] : text.replace(/^\uFEFF/, '').split(/\r?\n/)
          if (expected.at(-1) === '' && text !== '\uFEFF') expected.pop()
          expect(await elementsOf(textLines(await file('lines.txt', text, chunk)))).toEqual(expected)
          expect(await elementsOf(textLines(new Blob([text])))).toEqual(expected)
        },
      ),
      { numRuns: 60 },
    )
  })

  test('go on in the middle of the file by its position', async () => {
    const source = await file('resume.txt', 'one\ntwo\r\n\nfour\nfive')
    await expectResumes(() => textLines(source).prefetch(2))
    const offsets: number[] = []
    const watched = { name: 'watched', read: (offset: number) => (offsets.push(offset), source.read(offset)) }
    const first = textLines(watched)
    for await (const line of first) if (line === 'two') break
    const second = textLines(watched)
    second.loadStateDict(first.stateDict())
    expect(await elementsOf(second)).toEqual(['', 'four', 'five'])
    expect(offsets).toEqual([0, 9])
  })

  test('of several files, and of compressed ones', async () => {
    const packed = await file('c.txt.gz', gzipSync('x\ny\n'.repeat(1000)))
    expect(await elementsOf(textLines([bytes('a\nb'), bytes(''), bytes('c\n')]))).toEqual(['a', 'b', 'c'])
    expect(await elementsOf(textLines(gunzip(packed)).skip(1997))).toEqual(['y', 'x', 'y'])
    await expectResumes(() => textLines(gunzip(packed)), { every: 700 })
    const wrong = [await file('cut.gz', gzipSync('x\ny\n'.repeat(1000)).subarray(0, 20)), await file('no.gz', 'plain text')]
    for (const each of wrong)
      await expect(elementsOf(textLines(gunzip(each)))).rejects.toMatchObject({
        code: 'corrupt-file',
        message: expect.stringMatching(/(cut|no)\.gz cannot be unpacked: .*no gzip file, or was cut short/),
      })
    await expect(elementsOf(textLines(gunzip(fileBytes(join(folder, 'none.gz')))))).rejects.toMatchObject({ code: 'io-failure' })
  })

  test('errors name file, line and byte', async () => {
    await expect(elementsOf(textLines(fileBytes(join(folder, 'none.txt'))))).rejects.toMatchObject({
      code: 'io-failure',
      message: expect.stringMatching(/none\.txt cannot be read.*ENOENT/),
    })
    const broken = await file('broken.txt', Uint8Array.of(97, 10, 0xff, 10, 98))
    await expect(elementsOf(textLines(broken))).rejects.toThrow(/broken\.txt:2 \(byte 2\): the line is not UTF-8/)
    expect(await elementsOf(textLines(broken).ignoreErrors())).toEqual(['a', 'b'])
    await expect(elementsOf(textLines(await file('long.txt', 'x'.repeat(100), 8), { maxLineBytes: 10 }))).rejects.toThrow(
      /long\.txt:1.*longer than 10 bytes/,
    )
  })
})

describe('jsonLines', () => {
  test('reads values, leaves out empty lines, and says where one is broken', async () => {
    const source = await file('rows.jsonl', '{"a":1}\n\n{"a":\n[2]\n')
    const left: string[] = []
    const rows = jsonLines<{ a: number }>(source).ignoreErrors({ log: ({ message }) => left.push(message) })
    expect(await elementsOf(rows)).toEqual([{ a: 1 }, [2]])
    expect(left).toEqual([expect.stringMatching(/rows\.jsonl:3 \(byte 9\): the line is no JSON/)])
  })

  test('a map that fails says of which line', async () => {
    const rows = jsonLines<{ a: string }>(await file('map.jsonl', '{"a":"x"}\n{}\n')).map((row) => row.a.length)
    await expect(elementsOf(rows)).rejects.toThrow(/^map: .*map\.jsonl:2 \(byte 10\): Cannot read properties of undefined/)
    const batches = rows.batch(2)
    await expect(elementsOf(batches)).rejects.toThrow(/map\.jsonl:2/)
  })
})

test('early break closes the file', async () => {
  let closed = 0
  const source = {
    name: 'source',
    async *read() {
      try {
        for (;;) yield bytes('x\n')
      } finally {
        closed++
      }
    },
  }
  for await (const _ of Dataset.from([1, 2])
    .interleave(() => textLines(source), { cycleLength: 2, prefetch: 2 })
    .take(5)
    .prefetch(2)) {
    if (closed > 0) throw new Error('too early')
  }
  expect(closed).toBe(2)
})

test('readIdx', async () => {
  const images = await readIdx(Uint8Array.of(0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 1, 2, 3, 4))
  expect([images.dtype, images.toArray()]).toEqual([
    'uint8',
    [
      [1, 2],
      [3, 4],
    ],
  ])
})

test('streams are gone through once', async () => {
  const text = bytes('one\ntwo\nthree')
  const chunks = async function* () {
    for (const byte of text) yield Uint8Array.of(byte)
  }
  expect(await elementsOf(textLines(chunks()))).toEqual(['one', 'two', 'three'])
  const stream = new Blob([text]).stream()
  expect(await elementsOf(textLines(stream))).toEqual(['one', 'two', 'three'])
  expect(await elementsOf(textLines(gunzip(new Blob([gzipSync(text)]).stream())))).toEqual(['one', 'two', 'three'])
})
