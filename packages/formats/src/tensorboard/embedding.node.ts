import { appendFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { deflateSync } from 'node:zlib'
import { CotangentError, type Tensor } from 'cotangent'
import { encodeSprite } from './image-summary.ts'
import { fileName } from './profile-file.node.ts'
import { invalid } from './values.ts'

/** What the projector shows of each point besides its place. */
export interface EmbeddingOptions {
  /** A label a point, or several by column: `{ word: [...], count: [...] }`. */
  readonly labels?: readonly string[] | Readonly<Record<string, readonly (string | number)[]>>
  /** An image a point, `[points, C, H, W]`; pixels as in `image`. */
  readonly images?: Tensor
}

/** Writes points as the embedding projector reads them: tab-separated text, labels, one image of all images, and an entry of the list. */
export function saveEmbedding(folder: string, tag: string, points: Tensor, step: number, { labels, images }: EmbeddingOptions): void {
  if (points.rank !== 2 || points.size === 0) {
    throw new CotangentError('shape-mismatch', {
      op: 'embedding',
      message: 'points have shape [points, dimensions]',
      shapes: [points.shape],
      hint: 'Reshape them.',
    })
  }
  const [count, width] = points.shape as readonly [number, number]
  const name = `${fileName(tag)}-${String(step).padStart(5, '0')}`
  // Everything is checked and made before anything is written.
  const table = labels && labelTable(labels, count)
  const sprite = images && encodeSprite(images, count, deflateSync)

  const at = join(folder, 'embeddings', name)
  mkdirSync(at, { recursive: true })
  const numbers = points.dataSync()
  const rows = Array.from({ length: count }, (_, i) => `${numbers.subarray(i * width, (i + 1) * width).join('\t')}\n`)
  writeFileSync(join(at, 'tensors.tsv'), rows.join(''))
  if (table !== undefined) writeFileSync(join(at, 'labels.tsv'), table)
  if (sprite) writeFileSync(join(at, 'sprite.png'), sprite.data)

  // Paths are relative to the list; text format of protobuf quotes as JSON does.
  const path = (file: string) => JSON.stringify(`embeddings/${name}/${file}`)
  const lines = [
    `  tensor_name: ${JSON.stringify(`${tag}:${step}`)}`,
    `  tensor_path: ${path('tensors.tsv')}`,
    `  tensor_shape: ${count}`,
    `  tensor_shape: ${width}`,
    ...(table === undefined ? [] : [`  metadata_path: ${path('labels.tsv')}`]),
    ...(sprite
      ? [
          '  sprite {',
          `    image_path: ${path('sprite.png')}`,
          `    single_image_dim: ${sprite.width}`,
          `    single_image_dim: ${sprite.height}`,
          '  }',
        ]
      : []),
  ]
  const list = join(folder, 'projector_config.pbtxt')
  const entry = `embeddings {\n${lines.join('\n')}\n}\n`
  // A run that was resumed may write what it wrote before.
  if (!existsSync(list) || !readFileSync(list, 'utf8').includes(entry)) appendFileSync(list, entry)
}

/** One column has no header; several have. */
function labelTable(labels: NonNullable<EmbeddingOptions['labels']>, count: number): string {
  const columns: readonly (readonly (string | number)[])[] = Array.isArray(labels) ? [labels] : Object.values(labels)
  if (columns.some((column) => column.length !== count)) {
    throw invalid(
      'embedding',
      `there are ${count} points, but ${columns.map(({ length }) => length).join(' and ')} labels`,
      'Give one a point.',
    )
  }
  const cell = (value: string | number) => String(value).replaceAll(/[\t\r\n]+/g, ' ')
  const rows = Array.from({ length: count }, (_, i) => columns.map((column) => cell(column[i]!)))
  // TensorBoard takes the first row of one column for a label.
  const header = Array.isArray(labels) || columns.length < 2 ? [] : [Object.keys(labels).map(cell)]
  return [...header, ...rows].map((row) => `${row.join('\t')}\n`).join('')
}
