import { type BytesLike, bytesFrom } from 'cotangent/data'
import { RecordDecoder } from '../tfrecord/framing.ts'
import { EventDecoder } from './event-decoder.ts'
import type { TensorBoardEvent } from './event.ts'

/**
 * The events of an event file from its bytes. A last record that is not whole is left alone, as in a file that is still being written.
 *
 * @throws CotangentError `corrupt-file` where a record's checksum does not match.
 */
export async function* decodeEvents(source: BytesLike): AsyncGenerator<TensorBoardEvent, void, undefined> {
  const bytes = bytesFrom(source)
  const records = new RecordDecoder({ file: bytes.name })
  const events = new EventDecoder()
  for await (const piece of bytes.read()) {
    records.push(piece)
    for (let record = records.next(); record; record = records.next()) yield* events.decode(record.data)
  }
}
