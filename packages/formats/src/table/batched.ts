import { CotangentError } from 'cotangent'
import type { SourceItem, SourceReader } from 'cotangent/data'
import { FileSource } from '../file-source.ts'
import { type Column, packColumn } from './column.ts'

/** Rows of cells as batches of columns. A row that cannot be read is thrown at once; its batch goes on without it. */
export function batched(
  rows: FileSource<readonly unknown[]>,
  batchSize: number,
  columnsOf: () => readonly Column[],
): FileSource<Record<string, unknown>> {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new CotangentError('invalid-argument', {
      op: 'batches',
      message: `batchSize is ${batchSize}`,
      hint: 'It must be a positive integer.',
    })
  }
  return new FileSource({
    name: rows.name,
    ...(rows.length !== undefined && { length: Math.ceil(rows.length / batchSize) }),
    async open(position) {
      const reader = await rows.open(position)
      let first: SourceItem<readonly unknown[]> | undefined
      let cells: readonly unknown[][] = []
      const pack = () => {
        const columns = columnsOf()
        const packed = columns.map((column, i) => [column.name, packColumn(column, cells[i]!)])
        const item = { value: Object.fromEntries(packed) as Record<string, unknown>, ...(first?.place && { place: first.place }) }
        first = undefined
        return item
      }
      let start: unknown
      const next = async () => {
        for (;;) {
          if (!first) start = reader.position?.()
          const item = await reader.next()
          if (!item) return first && pack()
          if (!first) {
            first = item
            cells = columnsOf().map(() => [])
          }
          cells.forEach((column, i) => column.push(item.value[i]))
          if ((cells[0]?.length ?? batchSize) === batchSize) return pack()
        }
      }
      return {
        next,
        // A batch that an error interrupts begins again.
        position: () => (first ? start : reader.position?.()),
        close: async () => reader.close?.(),
      } satisfies SourceReader<Record<string, unknown>>
    },
  })
}
