import type { DType } from '../dtype.ts'
import { dtypeInfo } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type ArrayRecord, corruptFile, inverse, isSize, quoteName, quoteShape, recordBytes, swapBytes, viewBytes } from './array-record.ts'

/** NumPy's type strings without the byte order. bfloat16 has none: NumPy writes it as two untyped bytes. */
const dtypeOfCode = new Map<string, DType>([
  ['b1', 'bool'],
  ['u1', 'uint8'],
  ['i1', 'int8'],
  ['i4', 'int32'],
  ['i8', 'int64'],
  ['f2', 'float16'],
  ['f4', 'float32'],
  ['f8', 'float64'],
])
const codeOfDType = inverse(dtypeOfCode)

const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59] // "\x93NUMPY"

/**
 * Reads a NumPy .npy file, versions 1 to 3 (https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
 * Big-endian files are swapped and Fortran-ordered ones brought to row-major order; all others are views of `file`.
 *
 * @throws CotangentError `corrupt-file` where the file is not .npy or has another size than it claims; `unsupported` for
 * dtypes that Cotangent does not have (objects, strings, records, 16-bit and unsigned wide integers, complex).
 */
export function decodeNpy(file: Uint8Array): ArrayRecord {
  if (!magic.every((byte, i) => file[i] === byte)) throw corrupt('the file does not begin with the magic bytes of .npy')
  const major = file[6] ?? 0
  if (major < 1 || major > 3) throw corrupt(`unknown format version ${major}.${file[7] ?? 0}`)
  const headerStart = major === 1 ? 10 : 12
  if (file.length < headerStart) throw corrupt('the file ends before its header')
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  const headerLength = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  const dataStart = headerStart + headerLength
  if (dataStart > file.length) throw corrupt(`the header claims ${headerLength} bytes, but only ${file.length - headerStart} follow`)

  // Version 3 is UTF-8 and the others latin1, but every header that can be accepted is ASCII.
  const { descr, fortranOrder, shape } = readHeader(
    new TextDecoder('latin1').decode(new Uint8Array(viewBytes(file, headerStart, dataStart))),
  )
  const dtype = /^[<>|=]/.test(descr) ? dtypeOfCode.get(descr.slice(1)) : undefined
  if (!dtype) {
    throw new CotangentError('unsupported', {
      op: 'loadNpy',
      message: `the file holds elements of type ${quoteName(descr)}, which Cotangent does not have`,
      hint: `Convert it in NumPy first, for instance with x.astype('float32').`,
    })
  }
  const expected = recordBytes(dtype, shape)
  if (expected === undefined) throw corrupt(`the size of shape ${quoteShape(shape)} overflows`)
  let bytes = viewBytes(file, dataStart)
  if (bytes.length !== expected)
    throw corrupt(`shape ${quoteShape(shape)} of ${dtype} needs ${expected} bytes, but the file holds ${bytes.length}`)

  const { size } = dtypeInfo[dtype]
  if (descr[0] === '>' && size > 1) bytes = swapBytes(bytes, size)
  if (fortranOrder && shape.length > 1) bytes = toRowMajor(bytes, shape, size)
  return { dtype, shape, bytes }
}

/**
 * Writes a NumPy .npy file (version 1.0, row-major, little-endian), which `numpy.load` reads.
 *
 * @throws CotangentError `unsupported` for bfloat16, which NumPy has no name for, and `invalid-argument` where bytes and shape disagree.
 */
export function encodeNpy({ dtype, shape, bytes }: ArrayRecord): Uint8Array<ArrayBuffer> {
  const code = codeOfDType.get(dtype)
  if (!code) throw new CotangentError('unsupported', { op: 'saveNpy', message: `NumPy has no ${dtype}`, hint: 'Cast it to float32 first.' })
  if (recordBytes(dtype, shape) !== bytes.length) {
    throw new CotangentError('invalid-argument', {
      op: 'saveNpy',
      message: `the array has ${bytes.length} bytes, which its shape and dtype do not take`,
      shapes: [shape],
      dtypes: [dtype],
    })
  }
  const order = dtypeInfo[dtype].size === 1 ? '|' : '<'
  const sizes = shape.length === 1 ? `${shape[0]},` : shape.join(', ')
  const header = `{'descr': '${order}${code}', 'fortran_order': False, 'shape': (${sizes}), }`
  // The data begins at a multiple of 64, and the header ends with a newline.
  const dataStart = Math.ceil((10 + header.length + 1) / 64) * 64
  const file = new Uint8Array(dataStart + bytes.length)
  file.set(magic)
  file[6] = 1
  new DataView(file.buffer).setUint16(8, dataStart - 10, true)
  file.set(new TextEncoder().encode(`${header.padEnd(dataStart - 11)}\n`), 10)
  file.set(bytes, dataStart)
  return file
}

/** The header is a Python literal of exactly three entries, in any order. */
function readHeader(text: string): { descr: string; fortranOrder: boolean; shape: number[] } {
  const body = /^\{(.*)\}\s*$/.exec(text)?.[1]
  if (body === undefined) throw corrupt('the header is not a Python dictionary')
  const facts = new Map<string, string>()
  const entry = /\s*(['"])(descr|fortran_order|shape)\1\s*:\s*('[^']*'|"[^"]*"|True|False|\([\d\s,]*\)|\[.*?\])\s*(?:,|$)/y
  while (entry.lastIndex < body.length) {
    const start = entry.lastIndex
    const match = entry.exec(body)
    if (!match) {
      if (body.slice(start).trim() === '') break
      throw corrupt(`the header has an entry that .npy does not define: ${quoteName(body.slice(start).trim())}`)
    }
    const [, , key, value] = match as unknown as [string, string, string, string]
    if (facts.has(key)) throw corrupt(`the header gives ${key} twice`)
    facts.set(key, value)
  }

  const descr = facts.get('descr')
  const fortranOrder = facts.get('fortran_order')
  const sizes = facts.get('shape')
  if (!descr) throw corrupt('the header has no descr')
  if (fortranOrder !== 'True' && fortranOrder !== 'False') throw corrupt('the header has no fortran_order')
  if (!sizes?.startsWith('(')) throw corrupt('the header has no shape')
  const parts = sizes.slice(1, -1).trim().replace(/,$/, '')
  const shape = parts === '' ? [] : parts.split(',').map((part) => (part.trim() === '' ? Number.NaN : Number(part)))
  if (!shape.every(isSize)) throw corrupt(`the shape ${sizes} has a size that is no whole number from 0 to 2^53`)
  return { descr: descr.startsWith('[') ? descr : descr.slice(1, -1), fortranOrder: fortranOrder === 'True', shape }
}

/** From first-axis-fastest to last-axis-fastest. */
function toRowMajor(bytes: Uint8Array, shape: readonly number[], elementSize: number): Uint8Array {
  const out = new Uint8Array(bytes.length)
  const index = shape.map(() => 0)
  let strideOfAxis = elementSize
  const strides = shape.map((size) => {
    const stride = strideOfAxis
    strideOfAxis *= size
    return stride
  })
  let from = 0
  for (let to = 0; to < out.length; to += elementSize) {
    for (let i = 0; i < elementSize; i++) out[to + i] = bytes[from + i]!
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += strides[axis]!
      if (++index[axis]! < shape[axis]!) break
      from -= strides[axis]! * shape[axis]!
      index[axis] = 0
    }
  }
  return out
}

const corrupt = (message: string): CotangentError => corruptFile('loadNpy', message)
