import type { emitPackBytes } from './gemm-pack-bytes.ts'
import type { emitByteRowTimesColumns, emitByteRowTimesRows } from './gemv-bytes.ts'

/** What products of bytes are made of: pairs of 16-bit numbers. */
interface ByteCode {
  readonly pack: typeof emitPackBytes
  readonly rowTimesRows: typeof emitByteRowTimesRows
  readonly rowTimesColumns: typeof emitByteRowTimesColumns
}

let code: ByteCode | undefined

export function useByteCode(found: ByteCode): void {
  code = found
}

/** Undefined in programs where nothing brings it along: bytes become int32 there before they are multiplied, which is as exact and takes longer. */
export const byteCode = (): ByteCode | undefined => code
