import { type ByteSource, piecesOf } from '../bytes.ts'
import { RecordDecoder, type RecordDecoderOptions } from '../tfrecord/framing.ts'
import { EventDecoder } from './event-decoder.ts'
import type { TensorBoardEvent } from './event.ts'

/**
 * The events of an event file from its bytes. A last record that is not whole is left alone, as in a file that is still being written.
 *
 * @throws CotangentError `corrupt-file` where a record's checksum does not match; `skipCorrupt` passes over it.
 */
export async function* decodeEvents(
  source: ByteSource,
  options: RecordDecoderOptions = {},
): AsyncGenerator<TensorBoardEvent, void, undefined> {
  const records = new RecordDecoder(options)
  const events = new EventDecoder()
  for await (const piece of piecesOf(source)) {
    records.push(piece)
    for (let record = records.next(); record; record = records.next()) yield* events.decode(record.data)
  }
}
