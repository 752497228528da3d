// What the Chromium test runs in a page: the parts of this package that a browser has.
import { readCsvBatches } from '@cotangent/formats/csv'
import { decodeImage, encodeImage } from '@cotangent/formats/image'
import { readParquet } from '@cotangent/formats/parquet'
import { decodeEvents, EventWriter } from '@cotangent/formats/tensorboard'
import { buildExample, encodeRecords, fixedLength, readExamples } from '@cotangent/formats/tfrecord'
import { tensor } from 'cotangent'
import { all } from './all.ts'

/** Pixels, through a picture file and back. */
export async function picture(pixels: number[], channels: 1 | 3 | 4) {
  const image = tensor(Uint8Array.from(pixels), { dtype: 'uint8', shape: [1, pixels.length / channels, channels] })
  const decoded = await decodeImage(new Blob([(await encodeImage(image)) as Uint8Array<ArrayBuffer>]), { channels })
  const broken = await decodeImage(Uint8Array.of(1, 2, 3)).catch((error: { code: string }) => error.code)
  return { shape: decoded.shape, pixels: [...decoded.dataSync()].map(Number), broken }
}

/** A table as a compressed file that a user chose. */
export async function table(text: string) {
  const compressed = new Blob([text]).stream().pipeThrough(new CompressionStream('gzip'))
  const file = new File([await new Response(compressed).blob()], 'chosen.csv.gz')
  const batches = await all(readCsvBatches(file, 2, { columns: { x: 'float32', name: 'string' } }))
  const error = await all(readCsvBatches(new File(['x\na'], 'bad.csv'), 2, { columns: { x: 'float32' } })).catch((e: Error) => e.message)
  return { batches: batches.map(({ x, name }) => ({ x: x.toArray(), name })), error }
}

export async function parquet(address: string) {
  const response = await fetch(address)
  const rows = await all(readParquet(response.body!, { columns: ['id', 'name'] }))
  return rows.slice(0, 2)
}

export async function records() {
  const features = { id: fixedLength('int32'), name: fixedLength('string') }
  const rows = [0, 1, 2].map((id) => buildExample({ id, name: `größe ${id}` }, features))
  return all(readExamples(encodeRecords(rows, { compression: 'gzip' }), features))
}

export async function events() {
  const pieces: Uint8Array[] = []
  const writer = new EventWriter({ append: (bytes) => pieces.push(bytes), flush: async () => {}, close: async () => {} })
  writer.scalar('loss', 0.5, 3)
  writer.image('picture', tensor([0, 1]).reshape([1, 1, 2]), 4)
  await writer.close()
  const found = await all(decodeEvents(new Blob(pieces as Uint8Array<ArrayBuffer>[])))
  const image = found.find((event) => event.kind === 'image')!
  const decoded = await decodeImage(image.images[0]!, { channels: 1 })
  return { kinds: found.map(({ kind }) => kind), pixels: [...decoded.dataSync()].map(Number) }
}
