/** A growing byte buffer with the encodings of the WebAssembly binary format. */
export class ByteWriter {
  #bytes: Uint8Array<ArrayBuffer>
  #length = 0

  /** @param capacity In bytes; more are found when needed. Arrays of up to 64 bytes cost V8 next to nothing. */
  constructor(capacity = 64) {
    this.#bytes = new Uint8Array(capacity)
  }

  get length(): number {
    return this.#length
  }

  /** What was written so far; a view that the next write may outdate. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#length)
  }

  byte(value: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
  }

  /** Unsigned LEB128 of an integer below 2 ** 53. */
  unsigned(value: number): void {
    this.#reserve(8)
    while (value > 0x7f) {
      this.#bytes[this.#length++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    this.#bytes[this.#length++] = value
  }

  /** Signed LEB128 of a 32-bit integer. */
  signed32(value: number): void {
    this.#reserve(5)
    let v = value | 0
    while (v < -64 || v > 63) {
      this.#bytes[this.#length++] = (v & 0x7f) | 0x80
      v >>= 7
    }
    this.#bytes[this.#length++] = v & 0x7f
  }

  /** Signed LEB128 of a 64-bit integer. */
  signed64(value: bigint): void {
    this.#reserve(10)
    let v = BigInt.asIntN(64, value)
    while (v < -64n || v > 63n) {
      this.#bytes[this.#length++] = Number(v & 0x7fn) | 0x80
      v >>= 7n
    }
    this.#bytes[this.#length++] = Number(v & 0x7fn)
  }

  float32(value: number): void {
    scratch.setFloat32(0, value, true)
    this.append(scratchBytes.subarray(0, 4))
  }

  float64(value: number): void {
    scratch.setFloat64(0, value, true)
    this.append(scratchBytes)
  }

  append(bytes: ArrayLike<number>): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  /** Bytes preceded by their count. */
  sized(bytes: ArrayLike<number>): void {
    this.unsigned(bytes.length)
    this.append(bytes)
  }

  name(text: string): void {
    this.sized(utf8.encode(text))
  }

  #reserve(count: number): void {
    const needed = this.#length + count
    if (needed <= this.#bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.length))
    grown.set(this.#bytes)
    this.#bytes = grown
  }
}

const scratch = new DataView(new ArrayBuffer(8))
const scratchBytes = new Uint8Array(scratch.buffer)
const utf8 = new TextEncoder()
