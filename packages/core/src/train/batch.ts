import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf } from '../tree.ts'

/** Which entries of batches that are objects are what. */
export interface BatchNames {
  /** Several names make an array, whose elements are the arguments of `forward`. */
  readonly inputs: string | readonly string[]
  /** Several names make an object of these names. */
  readonly targets?: string | readonly string[]
  readonly weights?: string
}

/** A batch as a step takes it. */
export interface Batch {
  readonly inputs: unknown
  readonly targets: unknown
  /** How much each example counts: `[batch]`, or with more of the loss's axes. */
  readonly weights: Tensor | undefined
}

/** Anything that batches can be had from again and again, one pass each time. */
export type BatchData = (Iterable<unknown> | AsyncIterable<unknown>) & { readonly length?: number | undefined }

export const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

const weightNames = ['weights', 'sampleWeights']

/** Takes `[inputs, targets, weights?]`, objects by names, or a tensor, which is the inputs. */
export function readBatch(batch: unknown, names?: BatchNames): Batch {
  if (batch instanceof Tensor) return { inputs: batch, targets: undefined, weights: undefined }
  if (Array.isArray(batch)) {
    if (batch.length < 1 || batch.length > 3) {
      throw refused(
        `a batch is an array of ${batch.length}`,
        'Batches are [inputs, targets, weights?]; several inputs are an array of their own.',
      )
    }
    return { inputs: batch[0] as unknown, targets: batch[1] as unknown, weights: weightsOf(batch[2]) }
  }
  if (typeof batch !== 'object' || batch === null)
    throw refused(`a batch is ${batch === null ? 'null' : typeof batch}`, 'Batches are [inputs, targets, weights?] or objects.')
  const entries = batch as Readonly<Record<string, unknown>>
  return names ? byName(entries, names) : inOrder(entries)
}

/** Two entries, and weights by their name: what else there is must be named, as nothing says which is which. */
function inOrder(batch: Readonly<Record<string, unknown>>): Batch {
  const weights = Object.keys(batch).find((key) => weightNames.includes(key))
  const keys = Object.keys(batch).filter((key) => key !== weights)
  if (keys.length < 1 || keys.length > 2) {
    throw refused(
      `a batch has ${keys.length} entries, ${keys.join(', ')}`,
      `Say which are what, for instance { batch: { inputs: ['${keys[0] ?? 'x'}', '${keys[1] ?? 'z'}'], targets: '${keys[2] ?? 'y'}' } }.`,
    )
  }
  return {
    inputs: batch[keys[0]!],
    targets: keys.length > 1 ? batch[keys[1]!] : undefined,
    weights: weights === undefined ? undefined : weightsOf(batch[weights]),
  }
}

/** The inputs of a batch, which needs to have nothing else. */
export function readInputs(batch: unknown, names?: BatchNames): unknown {
  if (!names || batch instanceof Tensor || Array.isArray(batch)) return readBatch(batch, names).inputs
  return readBatch(batch, { inputs: names.inputs }).inputs
}

function byName(batch: Readonly<Record<string, unknown>>, { inputs, targets, weights }: BatchNames): Batch {
  const entry = (name: string): unknown => {
    if (name in batch) return batch[name]
    throw refused(`a batch has no ${name}`, `It has ${Object.keys(batch).join(', ')}.`)
  }
  return {
    inputs: typeof inputs === 'string' ? entry(inputs) : inputs.map(entry),
    targets:
      targets === undefined || typeof targets === 'string'
        ? targets && entry(targets)
        : Object.fromEntries(targets.map((name) => [name, entry(name)])),
    weights: weights === undefined ? undefined : weightsOf(entry(weights)),
  }
}

function weightsOf(weights: unknown): Tensor | undefined {
  if (weights === undefined || weights instanceof Tensor) return weights
  throw refused(`the weights of a batch are ${typeof weights}`, 'They must be a tensor with a number for each example.')
}

/** What inputs, outputs or targets are, for messages: `{ image, age }`. */
export function formOf(x: unknown): string {
  if (x instanceof Tensor) return 'a tensor'
  if (Array.isArray(x)) return `an array of ${x.length}`
  return typeof x === 'object' && x !== null ? `{ ${Object.keys(x).join(', ')} }` : String(x)
}

/** Examples of a batch: the first size of its first tensor. */
export function batchSizeOf(batch: unknown): number {
  const [first] = leavesOf(batch, isTensor)
  if (!first) throw refused('a batch has no tensor in it', 'Make tensors of it: tensor(values).')
  return first.shape[0] ?? 1
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'fit', message, hint })
