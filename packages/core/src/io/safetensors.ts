import type { DType } from '../dtype.ts'
import { CotangentError } from '../errors.ts'
import { type ArrayRecord, corruptFile, inverse, isSize, quoteName, quoteShape, recordBytes, viewBytes } from './array-record.ts'
import { joinBytes } from './join-bytes.ts'

/**
 * The safetensors format: 8 bytes of header length (little-endian), a JSON header that gives each tensor its dtype,
 * shape and byte range, then the bytes (https://huggingface.co/docs/safetensors). What is read is written back bit for bit.
 *
 * Files come from strangers: every number is checked before it is used, and the byte ranges must tile the file exactly,
 * so nothing can hide in holes or be read under two names.
 */
interface Safetensors {
  /** By name, in the order of the bytes in the file. Their bytes are views of the file, not copies. */
  tensors: Map<string, ArrayRecord>
  metadata: Record<string, string>
}

/** From the last to be written to the first. It is the reference implementation's order, so both write the same bytes. */
const dtypeOfCode = new Map<string, DType>([
  ['BOOL', 'bool'],
  ['U8', 'uint8'],
  ['I8', 'int8'],
  ['F16', 'float16'],
  ['BF16', 'bfloat16'],
  ['I32', 'int32'],
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['I64', 'int64'],
])
const codeOfDType = inverse(dtypeOfCode)
/** In the format, but not among our dtypes. */
const foreignDType = /^(?:[IU]16|U32|U64|F4|F6_E[23]M[23]|F8_E\dM\d(?:FNUZ)?|F8_E8M0|C64)$/

const maxHeaderBytes = 100_000_000
const reservedNames = new Set(['__metadata__', '__proto__'])
/** header object > tensor object > shape array. */
const maxDepth = 3

/**
 * Writes tensors and string metadata as one safetensors file.
 *
 * The order is fixed by the content (wider dtypes first, then by name), so equal content gives equal files, and every
 * tensor is aligned to its element size.
 *
 * @throws CotangentError `invalid-argument` for a name twice, a reserved or malformed name, or bytes that do not fit the shape.
 */
export function encodeSafetensors(
  entries: Iterable<readonly [string, ArrayRecord]>,
  metadata: Record<string, string> = {},
): Uint8Array<ArrayBuffer> {
  return joinBytes(safetensorsPieces(entries, metadata))
}

/** The same as pieces to be written one after the other: the header, then the bytes of each tensor, which are not copied. */
export function safetensorsPieces(
  entries: Iterable<readonly [string, ArrayRecord]>,
  metadata: Record<string, string> = {},
): [header: Uint8Array<ArrayBuffer>, ...data: Uint8Array[]] {
  const writingOrder = [...codeOfDType.keys()].reverse()
  const sorted = [...entries].sort(
    ([nameA, a], [nameB, b]) =>
      writingOrder.indexOf(a.dtype) - writingOrder.indexOf(b.dtype) || (nameA < nameB ? -1 : Number(nameA > nameB)),
  )
  const header: string[] = []
  const keys = Object.keys(metadata).sort()
  for (const key of keys) {
    if (typeof metadata[key] !== 'string')
      throw badArgument(`metadata ${quoteName(key)} is not a string`, 'Write it as text, for instance with JSON.stringify.')
    checkName(key, 'metadata key')
    checkText(metadata[key], 'metadata value')
  }
  if (keys.length) header.push(`"__metadata__":{${keys.map((key) => `${JSON.stringify(key)}:${JSON.stringify(metadata[key])}`).join(',')}}`)

  const seen = new Set<string>()
  let end = 0
  for (const [name, { dtype, shape, bytes }] of sorted) {
    checkName(name, 'tensor name')
    if (seen.has(name)) throw badArgument(`tensor name ${quoteName(name)} is given twice`)
    seen.add(name)
    if (recordBytes(dtype, shape) !== bytes.length) {
      throw new CotangentError('invalid-argument', {
        op: 'saveSafetensors',
        message: `tensor ${quoteName(name)} has ${bytes.length} bytes, which its shape and dtype do not take`,
        shapes: [shape],
        dtypes: [dtype],
      })
    }
    const begin = end
    end += bytes.length
    const facts = { dtype: codeOfDType.get(dtype), shape, data_offsets: [begin, end] }
    header.push(`${JSON.stringify(name)}:${JSON.stringify(facts)}`)
  }

  const text = new TextEncoder().encode(`{${header.join(',')}}`)
  const headerBytes = Math.ceil(text.length / 8) * 8
  if (headerBytes > maxHeaderBytes) throw badArgument('the names and metadata take more than the 100 MB that the format allows')
  const head = new Uint8Array(8 + headerBytes)
  new DataView(head.buffer).setBigUint64(0, BigInt(headerBytes), true)
  head.fill(0x20, 8 + text.length)
  head.set(text, 8)
  return [head, ...sorted.map(([, { bytes }]) => bytes)]
}

/**
 * Reads a safetensors file. The tensors are views of `file`, so they change with it.
 *
 * @throws CotangentError `corrupt-file` for anything that is not exactly a safetensors file, naming what was wrong;
 * `unsupported` for a dtype of the format that Cotangent does not have.
 */
export function decodeSafetensors(file: Uint8Array): Safetensors {
  const { header, dataStart } = readHeader(file)
  const metadata = readMetadata(header.__metadata__)
  const found = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, facts]) => readTensor(name, facts))
  found.sort((a, b) => a.begin - b.begin || a.end - b.end)

  const data = viewBytes(file, dataStart)
  const tensors = new Map<string, ArrayRecord>()
  let expected = 0
  for (const { name, dtype, shape, begin, end } of found) {
    if (end > data.length)
      throw corrupt(`tensor ${quoteName(name)} ends at byte ${end} of the data, which has only ${data.length} bytes: the file is truncated`)
    if (begin < expected) throw corrupt(`tensor ${quoteName(name)} overlaps the one before it: it begins at byte ${begin}, not ${expected}`)
    if (begin > expected) throw corrupt(`there is a hole of ${begin - expected} bytes before tensor ${quoteName(name)}`)
    tensors.set(name, { dtype, shape, bytes: viewBytes(data, begin, end) })
    expected = end
  }
  if (expected < data.length) throw corrupt(`${data.length - expected} bytes after the last tensor belong to nothing`)
  return { tensors, metadata }
}

/**
 * The metadata of a safetensors file, of which `head` holds the header at least, and the bytes that the whole file must have.
 *
 * @throws CotangentError As `decodeSafetensors`, for what is wrong with the header.
 */
export function decodeSafetensorsHead(head: Uint8Array): { metadata: Record<string, string>; fileBytes: number } {
  const { header, dataStart } = readHeader(head)
  const ends = Object.entries(header).flatMap(([name, facts]) => (name === '__metadata__' ? [] : [readTensor(name, facts).end]))
  return { metadata: readMetadata(header.__metadata__), fileBytes: ends.reduce((a, b) => Math.max(a, b), 0) + dataStart }
}

/** Bytes up to the data of a safetensors file, from its first 8 bytes. */
export function headBytes(file: Uint8Array): number {
  if (file.length < 8) throw corrupt(`the file has ${file.length} bytes, fewer than the 8 of the header length`)
  const length = new DataView(file.buffer, file.byteOffset).getBigUint64(0, true)
  if (length > BigInt(maxHeaderBytes)) throw corrupt(`the header claims ${length} bytes, more than the 100 MB that the format allows`)
  return 8 + Number(length)
}

function readHeader(file: Uint8Array): { header: Record<string, unknown>; dataStart: number } {
  const dataStart = headBytes(file)
  if (dataStart > file.length)
    throw corrupt(`the header claims ${dataStart - 8} bytes, but only ${file.length - 8} follow: the file is truncated`)

  let text: string
  try {
    // A copy, because browsers refuse to decode shared memory.
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(new Uint8Array(viewBytes(file, 8, dataStart)))
  } catch (cause) {
    throw corrupt('the header is not UTF-8', cause)
  }
  if (text[0] !== '{') throw corrupt('the header does not begin with "{"')
  checkStructure(text)
  try {
    return { header: JSON.parse(text) as Record<string, unknown>, dataStart }
  } catch (cause) {
    throw corrupt('the header is not JSON', cause)
  }
}

/**
 * Refuses what JSON.parse would let pass: a name that appears twice in an object (the last silently wins, so that two
 * readers can see two different files) and nesting so deep that it exhausts memory. What is not JSON at all is left to JSON.parse.
 */
function checkStructure(text: string): void {
  const objects: Set<string>[] = []
  const closers: string[] = []
  for (let at = 0; at < text.length; at++) {
    const char = text[at]!
    if (char === '{' || char === '[') {
      if (closers.length === maxDepth) throw corrupt(`the header is nested more than ${maxDepth} deep`)
      closers.push(char === '{' ? '}' : ']')
      if (char === '{') objects.push(new Set())
    } else if (char === '}' || char === ']') {
      if (closers.pop() !== char) throw corrupt(`the header is not JSON: unexpected "${char}" at character ${at}`)
      if (char === '}') objects.pop()
    } else if (char === '"') {
      const start = at
      at = closingQuote(text, start)
      if (!isKey(text, at + 1)) continue
      const name = unescape(text.slice(start, at + 1))
      const names = objects.at(-1)
      if (names?.has(name)) throw corrupt(`the name ${quoteName(name)} appears twice`)
      names?.add(name)
    }
  }
}

function closingQuote(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  throw corrupt('the header is not JSON: a string does not end')
}

function isKey(text: string, at: number): boolean {
  while (at < text.length && ' \t\n\r'.includes(text[at]!)) at++
  return text[at] === ':'
}

function unescape(literal: string): string {
  try {
    return JSON.parse(literal) as string
  } catch (cause) {
    throw corrupt('the header is not JSON', cause)
  }
}

function readMetadata(value: unknown): Record<string, string> {
  if (value === undefined) return {}
  if (!isObject(value)) throw corrupt('"__metadata__" is not an object')
  for (const [key, text] of Object.entries(value)) {
    if (reservedNames.has(key)) throw corrupt(`the metadata key ${quoteName(key)} is not allowed`)
    if (typeof text !== 'string') throw corrupt(`metadata ${quoteName(key)} is not a string`)
  }
  return value as Record<string, string>
}

interface Placed {
  name: string
  dtype: DType
  shape: number[]
  /** Byte range in the data, end exclusive. */
  begin: number
  end: number
}

function readTensor(name: string, facts: unknown): Placed {
  const label = `tensor ${quoteName(name)}`
  if (reservedNames.has(name) || !isWellFormed(name)) throw corrupt(`the tensor name ${quoteName(name)} is not allowed`)
  if (!isObject(facts)) throw corrupt(`${label} is described by something other than an object`)
  const { dtype: code, shape, data_offsets: offsets } = facts

  if (typeof code !== 'string') throw corrupt(`${label} has no dtype`)
  const dtype = dtypeOfCode.get(code)
  if (!dtype && foreignDType.test(code)) {
    throw new CotangentError('unsupported', {
      op: 'loadSafetensors',
      message: `${label} has dtype ${code}, which Cotangent does not have`,
      hint: `Convert it to one of ${[...dtypeOfCode.keys()].join(', ')} before loading.`,
    })
  }
  if (!dtype) throw corrupt(`${label} has the unknown dtype ${quoteName(code)}`)

  if (!Array.isArray(shape)) throw corrupt(`${label} has no shape`)
  if (!shape.every(isSize)) throw corrupt(`${label} has a size that is no whole number from 0 to 2^53: ${quoteShape(shape)}`)
  const bytes = recordBytes(dtype, shape)
  if (bytes === undefined) throw corrupt(`${label} has a shape whose size overflows: ${quoteShape(shape)}`)

  if (!Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) throw corrupt(`${label} has no valid data_offsets`)
  const [begin, end] = offsets as [number, number]
  if (end < begin) throw corrupt(`${label} has its data_offsets out of order: ${begin} to ${end}`)
  if (end - begin !== bytes) throw corrupt(`${label} takes ${end - begin} bytes, where ${code} ${quoteShape(shape)} needs ${bytes}`)
  return { name, dtype, shape, begin, end }
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Without halves of surrogate pairs, which have no UTF-8: two such names could become one in the file. */
const isWellFormed = (text: string): boolean => !/\p{Surrogate}/u.test(text)

function checkName(name: string, what: string): void {
  if (reservedNames.has(name)) throw badArgument(`${quoteName(name)} cannot be a ${what}`)
  checkText(name, what)
}

function checkText(text: string, what: string): void {
  if (!isWellFormed(text)) throw badArgument(`the ${what} ${quoteName(text)} holds half a surrogate pair, which UTF-8 cannot express`)
}

const badArgument = (message: string, hint?: string): CotangentError =>
  new CotangentError('invalid-argument', { op: 'saveSafetensors', message, ...(hint && { hint }) })

const corrupt = (message: string, cause?: unknown): CotangentError => corruptFile('loadSafetensors', message, { cause })
