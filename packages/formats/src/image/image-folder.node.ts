import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CotangentError, type Tensor } from 'cotangent'
import { ioFailure } from 'cotangent/node'
import { decodeImage } from './codec.node.ts'
import type { DecodeOptions } from './pixels.ts'

/** Which files and folders count, and how pictures are decoded. */
export interface ImageFolderOptions extends DecodeOptions {
  /** Default .jpg, .jpeg, .png, .webp, .gif, .bmp, .tif, .tiff and .avif, in any case. */
  readonly extensions?: readonly string[]
  /** Names of the folders that are classes, in the order of their labels. Default all, sorted. */
  readonly classes?: readonly string[]
}

/** A picture with its class. */
export interface LabelledImage {
  /** uint8 `[H, W, C]`. */
  readonly image: Tensor
  /** Position of its class. */
  readonly label: number
  readonly path: string
}

/**
 * Pictures in folders that are named after their classes (`train/cat/1.jpg`), at any depth below, as torchvision's ImageFolder has them:
 *
 *     const images = await ImageFolder.open('train')
 *     const dataset = Dataset.fromIndexed(images).shuffle().map(({ image, label }) => ...)
 *
 * Files are in the order of their classes and names. They are decoded when they are asked for.
 */
export class ImageFolder {
  readonly classes: readonly string[]
  /** Files with their labels. To decode them in workers, make a dataset of these and map it with `decodeImage`. */
  readonly files: readonly Omit<LabelledImage, 'image'>[]
  readonly #options: DecodeOptions

  private constructor(classes: readonly string[], files: readonly Omit<LabelledImage, 'image'>[], options: DecodeOptions) {
    this.classes = classes
    this.files = files
    this.#options = options
  }

  /** @throws CotangentError `io-failure` where a folder cannot be read; `invalid-argument` where there are no classes or a class has no pictures. */
  static async open(
    folder: string,
    { extensions = defaultExtensions, classes, ...options }: ImageFolderOptions = {},
  ): Promise<ImageFolder> {
    const names = classes ?? (await entriesOf(folder)).filter((entry) => entry.isDirectory()).map(({ name }) => name).sort() // oxfmt-ignore
    if (names.length === 0)
      throw invalid(`${folder} has no folders, which are to be the classes`, 'Each class is a folder of its pictures.')
    const endings = new Set(extensions.map((extension) => extension.toLowerCase()))
    const files: Omit<LabelledImage, 'image'>[] = []
    for (const [label, name] of names.entries()) {
      const paths = await picturesIn(join(folder, name), endings)
      if (paths.length === 0)
        throw invalid(`class ${name} has no pictures in ${join(folder, name)}`, `Files with the endings ${[...endings].join(', ')} count.`)
      for (const path of paths) files.push({ path, label })
    }
    return new ImageFolder(names, files, options)
  }

  get length(): number {
    return this.files.length
  }

  async get(index: number): Promise<LabelledImage> {
    const file = this.files[index]
    if (!file)
      throw new CotangentError('index-out-of-range', {
        op: 'ImageFolder',
        message: `there is no picture ${index} of ${this.length}`,
        hint: 'They are counted from 0.',
      })
    return { image: await decodeImage(file.path, this.#options), ...file }
  }
}

const defaultExtensions = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp', '.tif', '.tiff', '.avif']

async function picturesIn(folder: string, endings: ReadonlySet<string>): Promise<string[]> {
  const found: string[] = []
  for (const entry of await entriesOf(folder)) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) found.push(...(await picturesIn(path, endings)))
    else if (endings.has(/\.[^.]*$/.exec(entry.name)?.[0].toLowerCase() ?? '')) found.push(path)
  }
  return found.sort()
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (cause) {
    throw ioFailure(folder, 'read', cause)
  }
}

const invalid = (message: string, hint: string): CotangentError =>
  new CotangentError('invalid-argument', { op: 'ImageFolder', message, hint })
