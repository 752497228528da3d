import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Tensor } from 'cotangent'
import { Dataset } from 'cotangent/data'
import { describe, expect, expectTypeOf, test } from 'vitest'
import { all } from '../../test/all.ts'
import { tableRow } from '../../test/table-rows.ts'
import { describeParquet, readParquet, readParquetBatches } from './index.node.ts'

const fixture = (codec: string) => join(import.meta.dirname, `../../test/fixtures/table-${codec}.parquet`)

const expected = Array.from({ length: 10 }, (_, i) => tableRow(i))

test.each(['none', 'snappy', 'gzip', 'zstd', 'lz4', 'brotli'])("pyarrow's file, %s", async (codec) => {
  expect(await all(readParquet(fixture(codec)))).toEqual(expected)
  expect(await all(readParquet(new Blob([readFileSync(fixture(codec))])))).toEqual(expected)
})

test('a stream, and a choice of columns', async () => {
  const stream = new Blob([readFileSync(fixture('snappy'))]).stream()
  expect(await all(readParquet(stream, { columns: ['name', 'id'] }))).toEqual(expected.map(({ id, name }) => ({ name, id })))
})

test('what is in a file', async () => {
  const { rows, rowGroups, fields } = await describeParquet(fixture('none'))
  expect([rows, rowGroups]).toEqual([10, [4, 4, 2]])
  expect(fields.find(({ name }) => name === 'pair')).toEqual({ name: 'pair', type: 'LIST', column: undefined })
})

test('batches of columns', async () => {
  const columns = {
    id: 'float32',
    big: 'int64',
    y: { type: 'float64', missing: -1 },
    flag: 'bool',
    name: { type: 'string', missing: '' },
    kind: { categories: ['c', 'b', 'a'] },
  } as const
  const batches = await all(readParquetBatches(fixture('zstd'), 7, { columns }))
  expectTypeOf(batches[0]!).toEqualTypeOf<{ id: Tensor; big: Tensor; y: Tensor; flag: Tensor; name: string[]; kind: Tensor }>()
  expect(batches.map(({ id }) => id.shape)).toEqual([[7], [3]])
  expect(batches[1]!.big.dtype).toBe('int64')
  expect([...batches[1]!.big.dataSync()]).toEqual([7, 8, 9].map((i) => tableRow(i).big))
  expect(batches[0]!.y.toArray()).toEqual([-1, 1e10, 2e10, -1, 4e10, 5e10, -1])
  expect(batches[0]!.name[4]).toBe('')
  expect(batches[0]!.kind.toArray()).toEqual([2, 1, 0, 2, 1, 0, 2])
})

test('a dataset goes on in the middle', async () => {
  const dataset = Dataset.from(readParquet(fixture('snappy'), { columns: ['id'] }))
  let state: unknown
  for await (const { id } of dataset) {
    state = dataset.stateDict()
    if (id === 5) break
  }
  const resumed = Dataset.from(readParquet(fixture('snappy'), { columns: ['id'] }))
  resumed.loadStateDict(state as never)
  expect((await all(resumed)).map(({ id }) => id)).toEqual([6, 7, 8, 9])
})

describe('what does not fit', () => {
  test('columns', async () => {
    await expect(all(readParquet(fixture('none'), { columns: ['nothing'] }))).rejects.toThrow('has no column "nothing". It has "id", "big"')
    await expect(all(readParquetBatches(fixture('none'), 4))).rejects.toThrow('no tensors: "day" (DATE), "pair" (LIST)')
    await expect(all(readParquetBatches(fixture('none'), 4, { columns: { big: 'int32' } }))).rejects.toMatchObject({ code: 'bad-record' })
    await expect(all(readParquetBatches(fixture('none'), 4, { columns: { name: 'string' } }))).rejects.toThrow('element 4 of')
  })

  test('files', async () => {
    const good = readFileSync(fixture('snappy'))
    for (const bad of [
      good.subarray(0, 100),
      good.subarray(0, good.length - 9),
      new TextEncoder().encode('id,name\n1,2\n'),
      new Uint8Array(0),
    ]) {
      await expect(all(readParquet(bad))).rejects.toMatchObject({ code: 'corrupt-file' })
    }
  })

  test('random damage gives rows or an error of ours', async () => {
    let seed = 7
    const random = (n: number) => (seed = (seed * 48271) % 2147483647) % n
    for (let round = 0; round < 150; round++) {
      const bytes = Uint8Array.from(readFileSync(fixture(['none', 'snappy', 'gzip'][round % 3]!)))
      for (let i = 0; i <= random(6); i++) bytes[random(bytes.length)] = random(256)
      const got: unknown = await all(readParquet(bytes)).catch((e: unknown) => e)
      expect(Array.isArray(got) ? { code: 'corrupt-file' } : got).toMatchObject({ code: 'corrupt-file' })
    }
  })
})
