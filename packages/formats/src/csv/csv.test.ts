import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import type { Tensor } from 'cotangent'
import { Dataset } from 'cotangent/data'
import { afterAll, describe, expect, expectTypeOf, test } from 'vitest'
import { all } from '../../test/all.ts'
import { type CsvOptions, readCsv, readCsvBatches } from './index.node.ts'

const folder = mkdtempSync(join(tmpdir(), 'cotangent-csv-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bytes = (text: string) => new TextEncoder().encode(text)
const rows = (text: string, options?: CsvOptions) => all(readCsv(bytes(text), options))
/** The text in pieces of this many bytes. */
async function* pieces(text: string, size: number) {
  const all = bytes(text)
  for (let i = 0; i < all.length; i += size) yield all.subarray(i, i + size)
}

const penguins = `species,mass,sex,seen,note
Adelie,3750,male,true,"said ""hi"", left"
Gentoo,NA,female,false,"two
lines"
Chinstrap,3.8e3,,TRUE,größe
`

describe('dialects', () => {
  const expected = [
    { a: 1, b: 'x, "y"\nz' },
    { a: 2.5, b: '' },
  ]
  test.each([
    ['RFC 4180', 'a,b\r\n1,"x, ""y""\nz"\r\n2.5,\r\n', {}],
    ['Unix, no line break at the end', 'a,b\n1,"x, ""y""\nz"\n2.5,', {}],
    ['old Macintosh', 'a,b\r1,"x, ""y""\nz"\r2.5,""', {}],
    ['byte order mark', '\uFEFFa,b\n1,"x, ""y""\nz"\n2.5,', {}],
    ['semicolons', 'a;b\n1;"x, ""y""\nz"\n2.5;', { delimiter: ';' }],
    ['semicolons, found', 'a;b\n1;"x, ""y""\nz"\n2.5;', { delimiter: 'auto' }],
    ['backslash', 'a,b\n1,\'x, "y"\nz\'\n2.5,', { quote: "'" }],
    ['comments and empty lines', '# made up\na,b\n\n#1,2\n1,"x, ""y""\nz"\n\n2.5,\n#', { comment: '#' }],
    ['no header', '1,"x, ""y""\nz"\n2.5,', { header: ['a', 'b'] }],
  ] as const)('%s', async (_, text, options) => {
    expect(await rows(text, options)).toEqual(expected)
    for (const size of [1, 2, 3, 7]) expect(await all(readCsv(pieces(text, size), options))).toEqual(expected)
  })

  test('a delimiter is found in a short table, with comments', async () => {
    expect(await rows('a;b\n1;2\n', { delimiter: 'auto' })).toEqual([{ a: 1, b: 2 }])
    expect(await rows('# one, two, three\na\tb\n1\t2\n', { delimiter: 'auto', comment: '#' })).toEqual([{ a: 1, b: 2 }])
  })

  test('columns without names are numbered', async () => {
    expect(await rows('1,x\n2,y', { header: false })).toEqual([{ 0: 1, 1: 'x' }, { 0: 2, 1: 'y' }]) // oxfmt-ignore
  })

  test('encodings', async () => {
    expect(await all(readCsv(Uint8Array.of(97, 10, 0xfc, 10), { encoding: 'latin1' }))).toEqual([{ a: 'ü' }])
    const utf16 = Buffer.from('\uFEFFa,b\n1,ß', 'utf16le')
    expect(await all(readCsv(utf16, { encoding: 'utf-16le' }))).toEqual([{ a: 1, b: 'ß' }])
    await expect(all(readCsv(Uint8Array.of(97, 10, 0xfc, 10)))).rejects.toMatchObject({
      code: 'corrupt-file',
      message: expect.stringContaining('latin1'),
    })
  })

  test('only a header, and nothing', async () => {
    expect(await rows('a,b\n')).toEqual([])
    await expect(rows('')).rejects.toMatchObject({ code: 'corrupt-file' })
    expect(await rows('', { header: false })).toEqual([])
  })
})

describe('types', () => {
  test('found by looking', async () => {
    expect(await rows(penguins)).toEqual([
      { species: 'Adelie', mass: 3750, sex: 'male', seen: true, note: 'said "hi", left' },
      { species: 'Gentoo', mass: Number.NaN, sex: 'female', seen: false, note: 'two\nlines' },
      { species: 'Chinstrap', mass: 3800, sex: '', seen: true, note: 'größe' },
    ])
  })

  test('given, with a choice of columns', async () => {
    const source = readCsv(bytes(penguins), {
      columns: {
        mass: { type: 'int32', missing: -1 },
        species: { categories: ['Adelie', 'Chinstrap', 'Gentoo'] },
        sex: { type: { categories: ['female', 'male'] }, missing: 'male' },
        note: 'string',
      },
    })
    const [first] = await all(source)
    expectTypeOf(first!).toEqualTypeOf<{ mass: number; species: number; sex: number; note: string }>()
    expect(await all(source)).toEqual([
      { mass: 3750, species: 0, sex: 1, note: 'said "hi", left' },
      { mass: -1, species: 2, sex: 0, note: 'two\nlines' },
      { mass: 3800, species: 1, sex: 1, note: 'größe' },
    ])
  })

  test('numbers', async () => {
    const text = 'x\n1\n -2.5 \n+.5e-3\n5.\ninf\n-Infinity\nNaN\n'
    expect((await rows(text, { columns: { x: 'float32' } })).map((row) => (row as { x: number }).x)).toEqual([
      1,
      -2.5,
      0.0005,
      5,
      Infinity,
      -Infinity,
      Number.NaN,
    ])
    expect(await rows('x\n9007199254740993\n', { columns: { x: 'int64' } })).toEqual([{ x: 9007199254740993n }])
    for (const [cell, type] of [
      ['0x10', 'float32'],
      ['1 2', 'float64'],
      ['1.5', 'int32'],
      ['300', 'uint8'],
      ['9223372036854775808', 'int64'],
      ['maybe', 'bool'],
      ['', 'int32'],
    ] as const) {
      await expect(rows(`x,y\n${cell},0\n`, { columns: { x: type } })).rejects.toMatchObject({ code: 'bad-record' })
    }
  })
})

test('batches of columns', async () => {
  const text = `id,name,flag\n${Array.from({ length: 7 }, (_, i) => `${i},n${i},${i % 2}`).join('\n')}`
  const columns = { id: 'int32', name: 'string', flag: 'bool' } as const
  const batches = await all(readCsvBatches(bytes(text), 3, { columns }))
  expectTypeOf(batches[0]!).toEqualTypeOf<{ id: Tensor; name: string[]; flag: Tensor }>()
  expect(batches.map(({ id }) => [id.dtype, id.toArray()])).toEqual([
    ['int32', [0, 1, 2]],
    ['int32', [3, 4, 5]],
    ['int32', [6]],
  ])
  expect(batches[1]!.name).toEqual(['n3', 'n4', 'n5'])
  expect(batches[1]!.flag.dtype).toBe('bool')
})

describe('errors name the file and the line', () => {
  const file = join(folder, 'bad.csv')
  test.each([
    ['a,b\n1,2\n\n3\n', 'bad.csv:4', 'the record has 1 fields, the table 2 columns'],
    ['a,b\n"1\n",2\n3,"x"y,4\n', 'bad.csv:4', 'malformed'],
    ['a,b\n1,"x\n2,3\n', 'bad.csv:2', 'unterminated'],
  ])('%j', async (text, where, what) => {
    writeFileSync(file, text)
    const error = await all(readCsv(file)).catch((e: unknown) => e)
    expect(error).toMatchObject({ code: 'bad-record', message: expect.stringContaining(where) })
    expect((error as Error).message).toContain(what)
  })

  test('a quote that is never closed does not take all memory', async () => {
    const endless = (async function* () {
      yield bytes('a,b\n1,"')
      for (;;) yield new Uint8Array(2 ** 16).fill(120)
    })()
    await expect(all(readCsv(endless, { maxRecordLength: 2 ** 18 }))).rejects.toMatchObject({
      code: 'corrupt-file',
      message: expect.stringContaining(':2: a record is longer'),
    })
  })

  test('options that there are not', () => {
    expect(() => readCsv(bytes('a\n1'), { seperator: ';' } as never)).toThrow(
      /readCsv: there is no option seperator. There are columns, header/,
    )
    expect(() => readCsv(bytes('a\n1'), { headers: false } as never)).toThrow(/Did you mean header/)
  })

  test('columns that are not there, twice there, of no type', async () => {
    await expect(rows('a,b\n', { columns: { c: 'int32' } })).rejects.toThrow('there is no column "c". There are "a", "b"')
    await expect(rows('a,a\n')).rejects.toThrow('two columns are named "a"')
    await expect(rows('a\n', { columns: { a: 'int16' as never } })).rejects.toThrow('unknown type')
    expect(() => readCsv(bytes('a'), { delimiter: '\n' })).toThrow('delimiter')
    expect(() => readCsv(bytes('a'), { encoding: 'klingon' })).toThrow('klingon')
  })
})

describe('as a dataset', () => {
  const path = join(folder, 'many.csv')
  const count = 20_000
  const text = `# a comment\nid,text\n${Array.from({ length: count }, (_, i) => `${i},"größe\n${i}"`).join('\n')}\n`
  writeFileSync(path, text)
  writeFileSync(`${path}.gz`, gzipSync(text))
  const options = { comment: '#', columns: { id: 'int32', text: 'string' } } as const

  test.each([path, `${path}.gz`])('%s goes on in the middle', async (file) => {
    const dataset = Dataset.from(readCsv(file, options)).batch(64)
    let state: unknown
    let n = 0
    for await (const batch of dataset) {
      expect((batch.id as Tensor).shape).toEqual([64])
      if (++n === 150) {
        state = dataset.stateDict()
        break
      }
    }
    const resumed = Dataset.from(readCsv(file, options)).batch(64)
    resumed.loadStateDict(state as never)
    for await (const batch of resumed) {
      expect([...(batch.id as Tensor).dataSync().subarray(0, 2)]).toEqual([9600, 9601])
      expect((batch.text as unknown as string[])[0]).toBe('größe\n9600')
      break
    }
  })

  test('a bad row is left out of its batch', async () => {
    const reader = await readCsvBatches(bytes('a\n1\nx\n2\n3\n'), 2, { columns: { a: 'int32' } }).open()
    await expect(reader.next()).rejects.toMatchObject({ code: 'bad-record' })
    expect((await reader.next())!.value.a.toArray()).toEqual([1, 2])
    expect((await reader.next())!.value.a.toArray()).toEqual([3])
    expect(await reader.next()).toBeUndefined()
  })
})
