/** What is used of apache-arrow, which is an optional peer: its own types are not there where it is not. */
declare module 'apache-arrow' {
  interface DataType {
    readonly typeId: number
    toString(): string
  }
  interface Field {
    readonly name: string
    readonly type: DataType
  }
  interface Schema {
    readonly fields: readonly Field[]
  }
  interface Vector {
    get(index: number): unknown
  }
  interface RecordBatch {
    readonly numRows: number
    getChild(name: string): Vector | null
  }
  interface RecordBatchReader extends AsyncIterable<RecordBatch> {
    readonly schema: Schema
    open(): Promise<RecordBatchReader>
    cancel(): Promise<void> | void
  }
  const RecordBatchReader: {
    from(source: Uint8Array | AsyncIterable<Uint8Array>): Promise<RecordBatchReader> | RecordBatchReader
  }
}
