import { decodeIdx } from '../../io/idx.ts'
import { tensorOf } from '../../io/state.ts'
import type { Tensor } from '../../tensor/tensor.ts'
import { type BytesLike, readAll } from '../bytes.ts'

/**
 * The tensor of an idx file, the format of MNIST and its relatives.
 *
 *     Dataset.fromTensors({ images: await readIdx(fileBytes('train-images-idx3-ubyte')), labels: await readIdx(...) })
 *
 * @throws {CotangentError} `corrupt-file` where the file is cut short, too long, still compressed (see `gunzip`) or not idx at all.
 */
export async function readIdx(file: BytesLike): Promise<Tensor> {
  return tensorOf('array', decodeIdx(await readAll(file)), 'readIdx')
}
