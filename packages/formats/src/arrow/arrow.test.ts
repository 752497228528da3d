import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Dataset } from 'cotangent/data'
import { describe, expect, test } from 'vitest'
import { all } from '../../test/all.ts'
import { tableRow } from '../../test/table-rows.ts'
import { readArrow, readArrowBatches } from './index.node.ts'

const fixture = (name: string) => join(import.meta.dirname, '../../test/fixtures', name)

// apache-arrow is an optional peer; .ci/run installs it apart and names the folder.
const installed = process.env.COTANGENT_PEERS !== undefined
if (!installed) console.warn('tests of Arrow files are skipped: COTANGENT_PEERS names no folder with apache-arrow')

test.skipIf(installed)('without apache-arrow, the error says what to install', async () => {
  await expect(all(readArrow(fixture('table.arrow')))).rejects.toMatchObject({ code: 'unsupported', hint: 'npm install apache-arrow' })
})

describe.skipIf(!installed)("pyarrow's", () => {
  test.each(['table.arrow', 'table.arrows'])('%s', async (name) => {
    const source = readArrow(fixture(name))
    expect(await all(source)).toEqual(Array.from({ length: 10 }, (_, i) => tableRow(i)))
    expect(await all(readArrow(fixture(name), { columns: ['kind', 'id'] }))).toEqual(
      Array.from({ length: 10 }, (_, i) => ({ kind: tableRow(i).kind, id: i })),
    )
    const dataset = Dataset.from(source)
    let state: unknown
    for await (const { id } of dataset) {
      state = dataset.stateDict()
      if (id === 6) break
    }
    const resumed = Dataset.from(readArrow(fixture(name)))
    resumed.loadStateDict(state as never)
    expect((await all(resumed)).map(({ id }) => id)).toEqual([7, 8, 9])
  })

  test('batches of columns', async () => {
    const columns = {
      id: 'int32',
      big: 'int64',
      small: 'uint8',
      y: 'float32',
      name: { type: 'string', missing: '' },
      kind: { categories: ['a', 'b', 'c'] },
    } as const
    const batches = await all(readArrowBatches(fixture('table.arrow'), 6, { columns }))
    expect(batches.map(({ id }) => [id.dtype, id.toArray()])).toEqual([
      ['int32', [0, 1, 2, 3, 4, 5]],
      ['int32', [6, 7, 8, 9]],
    ])
    expect([...batches[1]!.big.dataSync()]).toEqual([6, 7, 8, 9].map((i) => tableRow(i).big))
    expect(batches[1]!.y.toArray()).toEqual([Number.NaN, 7e10, 8e10, Number.NaN].map(Math.fround))
    expect(batches[0]!.name).toEqual(['größe 0', 'größe 1', 'größe 2', 'größe 3', '', 'größe 5'])
    await expect(all(readArrowBatches(fixture('table.arrow'), 6))).rejects.toThrow('"pair" (List<Float32>)')
  })

  test('damage', async () => {
    const good = readFileSync(fixture('table.arrows'))
    for (const bad of [good.subarray(0, 700), new TextEncoder().encode('id,name\n1,2\n'), new Uint8Array(0)]) {
      await expect(all(readArrow(bad))).rejects.toMatchObject({ code: 'corrupt-file' })
    }
  })
})
