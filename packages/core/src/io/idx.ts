import type { DType } from '../dtype.ts'
import type { CotangentError } from '../errors.ts'
import { type ArrayRecord, corruptFile, quoteShape, recordBytes, swapBytes, viewBytes } from './array-record.ts'

/** Element types of the format by their code. int16, which Cotangent does not have, is widened to int32. */
const elementTypes = new Map<number, { dtype: DType; fileSize: number }>([
  [0x08, { dtype: 'uint8', fileSize: 1 }],
  [0x09, { dtype: 'int8', fileSize: 1 }],
  [0x0b, { dtype: 'int32', fileSize: 2 }],
  [0x0c, { dtype: 'int32', fileSize: 4 }],
  [0x0d, { dtype: 'float32', fileSize: 4 }],
  [0x0e, { dtype: 'float64', fileSize: 8 }],
])

/**
 * Reads an idx file, the format of MNIST and its relatives: two zero bytes, the element type, the number of dimensions,
 * each size as 4 bytes, then the elements, all big-endian (documented on the MNIST page, "The IDX file format").
 *
 * 8-bit elements are a view of `file`; wider ones are copied to little-endian.
 *
 * @throws CotangentError `corrupt-file` where the file is cut short, too long, still compressed or not idx at all.
 */
export function decodeIdx(file: Uint8Array): ArrayRecord {
  if (file[0] === 0x1f && file[1] === 0x8b)
    throw corruptFile('decodeIdx', 'the file is compressed with gzip', { hint: 'Decompress it first.' })
  if (file.length < 4) throw corrupt(`the file has ${file.length} bytes, fewer than the 4 of the header`)
  const [zero0, zero1, code, rank] = file as unknown as [number, number, number, number]
  if (zero0 !== 0 || zero1 !== 0) throw corrupt('the file does not begin with two zero bytes')
  const type = elementTypes.get(code)
  if (!type) throw corrupt(`unknown element type 0x${code.toString(16).padStart(2, '0')}`)
  const start = 4 + 4 * rank
  if (file.length < start) throw corrupt(`the file ends inside its ${rank} sizes`)

  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i))
  const { dtype, fileSize } = type
  // The size in memory is a bound of the size in the file: only int16 differs, and it grows.
  if (recordBytes(dtype, shape) === undefined) throw corrupt(`the size of shape ${quoteShape(shape)} overflows`)
  const expected = shape.reduce((product, size) => product * size, fileSize)
  const body = viewBytes(file, start)
  if (body.length !== expected) throw corrupt(`shape ${quoteShape(shape)} needs ${expected} bytes, but the file holds ${body.length}`)

  if (fileSize === 1) return { dtype, shape, bytes: body }
  if (fileSize === 2) {
    const wide = Int32Array.from({ length: body.length / 2 }, (_, i) => view.getInt16(start + 2 * i))
    return { dtype, shape, bytes: new Uint8Array(wide.buffer) }
  }
  return { dtype, shape, bytes: swapBytes(body, fileSize) }
}

const corrupt = (message: string): CotangentError =>
  corruptFile('decodeIdx', message, { hint: 'The download was cut short or the file is no idx file: fetch it again.' })
