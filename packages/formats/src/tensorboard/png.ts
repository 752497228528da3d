/**
 * Raw pixels as a PNG file (W3C PNG, third edition), so that writing an image needs no image library. Reading one does: see
 * `@cotangent/formats/image`.
 */
export interface Pixels {
  readonly width: number
  readonly height: number
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha. */
  readonly channels: 1 | 2 | 3 | 4
  /** Rows of pixels of channels. */
  readonly data: Uint8Array
}

/** Compresses bytes to a zlib stream. */
export type Deflate = (bytes: Uint8Array) => Uint8Array

const colourTypes = { 1: 0, 2: 4, 3: 2, 4: 6 } as const
const signature = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const upFilter = 2

export function encodePng({ width, height, channels, data }: Pixels, deflate: Deflate = storeZlib): Uint8Array<ArrayBuffer> {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([8, colourTypes[channels]], 8)
  const stride = width * channels
  // Each row as its difference from the one above, which compresses well and costs one pass.
  const rows = new Uint8Array(height * (stride + 1))
  for (let y = 0; y < height; y++) {
    const out = y * (stride + 1)
    rows[out] = upFilter
    for (let x = 0; x < stride; x++) rows[out + 1 + x] = data[y * stride + x]! - (y > 0 ? data[(y - 1) * stride + x]! : 0)
  }
  const chunks = [chunk('IHDR', header), chunk('IDAT', deflate(rows)), chunk('IEND', new Uint8Array(0))]
  const file = new Uint8Array(chunks.reduce((sum, { length }) => sum + length, signature.length))
  file.set(signature)
  let at = signature.length
  for (const piece of chunks) {
    file.set(piece, at)
    at += piece.length
  }
  return file
}

function chunk(type: string, data: Uint8Array): Uint8Array {
  const out = new Uint8Array(12 + data.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, data.length)
  for (let i = 0; i < 4; i++) out[4 + i] = type.charCodeAt(i)
  out.set(data, 8)
  view.setUint32(8 + data.length, crc32(out.subarray(4, 8 + data.length)))
  return out
}

const crcTable = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0xedb88320 : crc >>> 1
  return crc
})

function crc32(bytes: Uint8Array): number {
  let crc = -1
  for (const byte of bytes) crc = (crc >>> 8) ^ crcTable[(crc ^ byte) & 0xff]!
  return ~crc >>> 0
}

/** A zlib stream (RFC 1950) of stored blocks, for hosts without a synchronous compressor. */
function storeZlib(bytes: Uint8Array): Uint8Array {
  const most = 0xffff
  const blocks = Math.max(1, Math.ceil(bytes.length / most))
  const out = new Uint8Array(2 + blocks * 5 + bytes.length + 4)
  const view = new DataView(out.buffer)
  out.set([0x78, 0x01])
  let at = 2
  for (let block = 0; block < blocks; block++) {
    const piece = bytes.subarray(block * most, (block + 1) * most)
    out[at] = block === blocks - 1 ? 1 : 0
    view.setUint16(at + 1, piece.length, true)
    view.setUint16(at + 3, ~piece.length & 0xffff, true)
    out.set(piece, at + 5)
    at += 5 + piece.length
  }
  view.setUint32(at, adler32(bytes))
  return out
}

function adler32(bytes: Uint8Array): number {
  let a = 1
  let b = 0
  for (let start = 0; start < bytes.length; start += 5552) {
    const end = Math.min(start + 5552, bytes.length)
    for (let i = start; i < end; i++) b += a += bytes[i]!
    a %= 65521
    b %= 65521
  }
  return ((b << 16) | a) >>> 0
}
