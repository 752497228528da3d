// What runs everywhere: `@cotangent/formats/csv` in a browser.
export type { BytesLike, ByteSource } from 'cotangent/data'
export type { FileSource } from '../file-source.ts'
export type { Compression } from '../inflate.ts'
export type { Columns, ColumnSpec, ColumnType, TableBatch, TableRow } from '../table/column.ts'
export { type CsvBatch, type CsvOptions, type CsvRow, type InferredBatch, type InferredRow, readCsv, readCsvBatches } from './read-csv.ts'
