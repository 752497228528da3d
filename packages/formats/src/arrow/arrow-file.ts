import type { DataType, RecordBatchReader } from 'apache-arrow'
import { CotangentError } from 'cotangent'
import type { ByteSource } from 'cotangent/data'
import type { ColumnType } from '../table/column.ts'
import type { TableFile, TablePiece } from '../table/table-file.ts'

/** An IPC file or stream, by apache-arrow. Record batches of a stream are read as they come; a file is kept as a whole. */
export async function openArrow(bytes: ByteSource): Promise<TableFile> {
  const arrow = await loadArrow()
  const reader = await decoding(bytes, async () => {
    const made = await arrow.RecordBatchReader.from(bytes.read())
    await made.open()
    if (!(made.schema as unknown)) throw new Error('there is no schema')
    return made
  })
  const { fields } = reader.schema
  return {
    fields: fields.map(({ name, type }) => ({ name, type: String(type), column: columnTypes[plainName(type)] })),
    pieces: (names, from) => piecesOf(bytes, reader, names, from),
  }
}

async function* piecesOf(
  bytes: ByteSource,
  reader: RecordBatchReader,
  names: readonly string[],
  from: number,
): AsyncGenerator<TablePiece, void, undefined> {
  const iterator = reader[Symbol.asyncIterator]()
  const types = new Map(reader.schema.fields.map(({ name, type }) => [name, type.typeId]))
  try {
    for (let start = 0; ;) {
      const { done, value: batch } = await decoding(bytes, () => iterator.next())
      if (done) return
      const rows = batch.numRows
      const vectors = names.map((name) => ({ vector: batch.getChild(name), type: types.get(name) }))
      if (start + rows > from) yield { start, rows, cells: (row) => vectors.map(({ vector, type }) => plain(vector?.get(row), type)) }
      start += rows
    }
  } finally {
    await reader.cancel()
  }
}

const dateType = 8
const timestampType = 10

/** Lists and structs as arrays and objects, times as Dates. */
function plain(value: unknown, type: number | undefined): unknown {
  if (value === null || value === undefined) return null
  if (type === dateType || type === timestampType) return new Date(Number(value))
  if (ArrayBuffer.isView(value)) return value
  return typeof value === 'object' && 'toJSON' in value && typeof value.toJSON === 'function' ? (value.toJSON() as unknown) : value
}

const plainName = (type: DataType): string => String(type).replace(/^Dictionary<.*, (\w+)>$/, '$1')

const columnTypes: Readonly<Record<string, ColumnType>> = {
  Bool: 'bool',
  Uint8: 'uint8',
  Int8: 'int32',
  Int16: 'int32',
  Uint16: 'int32',
  Int32: 'int32',
  Int64: 'int64',
  Float32: 'float32',
  Float64: 'float64',
  Utf8: 'string',
  LargeUtf8: 'string',
}

async function decoding<T>(bytes: ByteSource, decode: () => Promise<T>): Promise<T> {
  try {
    return await decode()
  } catch (cause) {
    if (cause instanceof CotangentError) throw cause
    const reason = cause instanceof Error ? cause.message.replace(/\.$/, '') : String(cause)
    throw new CotangentError('corrupt-file', {
      op: 'readArrow',
      message: `${bytes.name}: ${reason}`,
      hint: 'It is no Arrow IPC file or stream, or it is damaged.',
      cause,
    })
  }
}

async function loadArrow(): Promise<typeof import('apache-arrow')> {
  try {
    return await import('apache-arrow')
  } catch (cause) {
    throw new CotangentError('unsupported', {
      message: 'Arrow files are read by the package apache-arrow, which cannot be loaded',
      hint: 'npm install apache-arrow',
      cause,
    })
  }
}
