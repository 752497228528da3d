import { crc32 } from 'node:zlib'

const [blockBytes, headBytes] = [32768, 7]
const [full, first, middle, last] = [1, 2, 3, 4]

/**
 * Records in blocks of 32 KiB, as LevelDB's log has them (https://github.com/google/leveldb/blob/main/doc/log_format.md), with the plain CRC-32 that
 * Weights & Biases uses in place of LevelDB's.
 */
export class BlockLog {
  #at: number

  /** @param at Bytes that the file has before the first record. */
  constructor(at: number) {
    this.#at = at
  }

  /** The bytes that the next record is in the file. */
  encode(record: Uint8Array): Uint8Array {
    const pieces: Uint8Array[] = []
    let begin = 0
    // A first part may be empty, where only its head has room.
    let isFirst = true
    do {
      let room = blockBytes - (this.#at % blockBytes)
      if (room < headBytes) {
        pieces.push(new Uint8Array(room))
        this.#at += room
        room = blockBytes
      }
      const end = Math.min(record.length, begin + room - headBytes)
      const type = end === record.length ? (isFirst ? full : last) : isFirst ? first : middle
      pieces.push(framed(type, record.subarray(begin, end)))
      this.#at += headBytes + end - begin
      begin = end
      isFirst = false
    } while (begin < record.length)
    return Buffer.concat(pieces)
  }
}

function framed(type: number, part: Uint8Array): Uint8Array {
  const bytes = Buffer.alloc(headBytes + part.length)
  bytes.writeUInt16LE(part.length, 4)
  bytes[6] = type
  bytes.set(part, headBytes)
  // In one go: the sum that is gone on with over no bytes is 0 in some versions of zlib.
  bytes.writeUInt32LE(crc32(bytes.subarray(6)), 0)
  return bytes
}
