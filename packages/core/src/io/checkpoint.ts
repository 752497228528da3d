import { CotangentError } from '../errors.ts'
import { Tensor } from '../tensor/tensor.ts'
import { isPlain } from '../tree.ts'
import { type ArrayRecord, corruptFile, quoteName } from './array-record.ts'
import { checkSeal, digestPlaceholder, type Hash, sealPieces, webHash } from './digest.ts'
import { joinBytes } from './join-bytes.ts'
import { decodeSafetensors, decodeSafetensorsHead, safetensorsPieces } from './safetensors.ts'
import { recordsOf, tensorOf } from './state.ts'

/** What has a state to save: a module, an optimiser, a scheduler, or anything of yours. */
export interface Stateful {
  /** Tensors, numbers, texts and the like in plain objects and arrays. */
  stateDict(): unknown
  loadStateDict(state: never): unknown
}

/** Parts of a checkpoint by name. The one called `model` has its tensors in the file under their own names. */
export type CheckpointParts = Readonly<Record<string, Stateful>>

const format = 'cotangent.checkpoint.2'
const reserved = new Set(['format', 'extra', 'info', 'digest'])
/** How deep states may be nested. */
const maxDepth = 64

/**
 * Model, optimiser, scheduler and what else it takes to go on, as the bytes of one safetensors file. The model's tensors have
 * their own names in it, so that other programs can read them; those of other parts begin with the part's name
 * (`optimizer.state.0.expAvg`), and what is no tensor is in the metadata, with a digest of the whole file.
 *
 *     await encodeCheckpoint({ model, optimizer, scheduler, random: defaultGenerator }, { epoch: 3 })
 *
 * The state is that at the time of the call.
 *
 * @param extra Tensors, numbers, texts and the like in plain objects and arrays.
 * @throws {CotangentError} `invalid-argument` for a state that holds anything else, or names that clash.
 */
export async function encodeCheckpoint(parts: CheckpointParts, extra: unknown = {}): Promise<Uint8Array<ArrayBuffer>> {
  return joinBytes(await checkpointPieces(parts, { extra }))
}

interface CheckpointContents {
  /** See `encodeCheckpoint`. */
  readonly extra?: unknown
  /** What can be read without the rest of the file: numbers, texts and the like. */
  readonly info?: unknown
}

/** The same as pieces to be written one after the other. What it returns at once is a copy of the state: it may change from then on. */
export async function checkpointPieces(
  parts: CheckpointParts,
  { extra = {}, info = {} }: CheckpointContents,
  hash: Hash = webHash,
): Promise<readonly Uint8Array[]> {
  const named: [string, Tensor][] = []
  const metadata: Record<string, string> = { format, digest: digestPlaceholder }
  const names = Object.keys(parts)
  for (const [part, stateful] of Object.entries(parts)) {
    if (part === '' || part.includes('.') || reserved.has(part))
      throw refused(`${quoteName(part)} cannot be the name of a part`, `Use a name without dots that is not ${[...reserved].join(', ')}.`)
    const tensors: [string, Tensor][] = []
    const tree = describe(stateful.stateDict(), part === 'model' ? '' : part, tensors)
    const clash =
      part === 'model'
        ? tensors.find(([name]) => [...names, 'extra', 'info'].some((other) => other !== 'model' && name.startsWith(`${other}.`)))
        : undefined
    if (clash)
      throw refused(`the model's ${quoteName(clash[0])} could not be told from another part`, `Rename the part ${clash[0].split('.')[0]}.`)
    metadata[part] = JSON.stringify(tree)
    named.push(...tensors)
  }
  metadata.extra = JSON.stringify(describe(extra, 'extra', named))
  metadata.info = JSON.stringify(describe(info, 'info', named))
  return sealPieces(safetensorsPieces(await recordsOf(named), metadata), hash)
}

/**
 * Loads the parts of a checkpoint; those that are not asked for are left out. A model can be loaded from any safetensors file.
 *
 * @returns The `extra` of the checkpoint.
 * @throws {CotangentError} `corrupt-file` for a damaged file; `invalid-argument` for a part that the file lacks (before anything is
 *   loaded) or whose state does not fit (that part stays as it was).
 */
export async function decodeCheckpoint<E = Record<string, unknown>>(file: Uint8Array, parts: CheckpointParts): Promise<E> {
  return (await openCheckpoint(file)).load(parts) as E
}

/**
 * Checks that a file is whole before anything is done with it.
 *
 * @returns `load`, which is what `decodeCheckpoint` does with it.
 * @throws {CotangentError} `corrupt-file` for a damaged file.
 */
export async function openCheckpoint(file: Uint8Array, hash: Hash = webHash): Promise<{ load(parts: CheckpointParts): unknown }> {
  const { tensors, metadata } = decodeSafetensors(file)
  const isOurs = checkFormat(metadata)
  if (isOurs) await checkSeal(file, metadata.digest, hash)
  const inside = isOurs ? Object.keys(metadata).filter((key) => !reserved.has(key)) : ['model']
  return {
    load: (parts) => {
      const missing = Object.keys(parts).filter((part) => !inside.includes(part))
      if (missing.length > 0)
        throw refused(`there is no ${missing.join(', ')} in this file, but ${inside.join(', ')}`, 'Ask for what is there only.')
      const states = Object.keys(parts).map((part) => (isOurs ? restore(metadata[part]!, part, tensors) : plain(tensors)))
      const extra = metadata.extra !== undefined && isOurs ? restore(metadata.extra, 'extra', tensors) : {}
      Object.values(parts).forEach((stateful, i) => stateful.loadStateDict(states[i] as never))
      return extra
    },
  }
}

/**
 * The `info` of a checkpoint, of which `head` holds the header at least, and the bytes that the whole file must have.
 *
 * @throws {CotangentError} `corrupt-file` for anything that does not begin as a checkpoint.
 */
export function decodeCheckpointHead(head: Uint8Array): { info: unknown; fileBytes: number } {
  const { metadata, fileBytes } = decodeSafetensorsHead(head)
  if (!checkFormat(metadata) || metadata.info === undefined) throw corrupt('the header is not that of a checkpoint')
  return { info: restore(metadata.info, 'info', new Map()), fileBytes }
}

/** Whether it is a checkpoint at all. */
function checkFormat(metadata: Readonly<Record<string, string>>): boolean {
  const found = metadata.format
  if (found === format) return true
  if (!found?.startsWith('cotangent.checkpoint.')) {
    // Damage there must not make a checkpoint a file that nobody checks.
    if (['digest', 'extra', 'info'].every((key) => key in metadata)) throw corrupt('it has all of a checkpoint but the name of its format')
    return false
  }
  throw new CotangentError('unsupported', {
    op: 'checkpoint',
    message: `the file has the format ${quoteName(found)}, where this version reads ${format}`,
    hint: 'Load it with the version of Cotangent that wrote it.',
  })
}

const plain = (tensors: ReadonlyMap<string, ArrayRecord>) =>
  Object.fromEntries([...tensors].map(([name, record]) => [name, tensorOf(name, record)]))

// What JSON lacks is written as an object with one key that begins with $.

function describe(value: unknown, path: string, tensors: [string, Tensor][], depth = 0): unknown {
  if (value instanceof Tensor) {
    tensors.push([path, value])
    return { $tensor: path }
  }
  if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0)))
    return { $number: Object.is(value, -0) ? '-0' : String(value) }
  if (typeof value === 'bigint') return { $bigint: String(value) }
  if (value === null || typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') return value
  const inner = (key: string, part: unknown) => describe(part, path ? `${path}.${key}` : key, tensors, depth + 1)
  if (depth < maxDepth) {
    if (Array.isArray(value)) return value.map((part, i) => inner(String(i), part))
    if (isPlain(value) && !Object.keys(value).some((key) => key.startsWith('$'))) {
      return Object.fromEntries(Object.entries(value).flatMap(([key, part]) => (part === undefined ? [] : [[key, inner(key, part)]])))
    }
  }
  throw refused(
    `${quoteName(path)} cannot be saved: it is ${typeof value === 'object' ? 'an object of a class, nested too deep, or has names that begin with $' : typeof value}`,
    'States are made of tensors, numbers, texts, booleans, bigints, arrays and plain objects.',
  )
}

function restore(text: string, part: string, tensors: ReadonlyMap<string, ArrayRecord>): unknown {
  let described: unknown
  try {
    described = JSON.parse(text)
  } catch (cause) {
    throw corrupt(`the state of ${quoteName(part)} is not JSON`, cause)
  }
  const visit = (value: unknown, depth: number): unknown => {
    if (typeof value !== 'object' || value === null) return value
    if (depth > maxDepth + 1) throw corrupt(`the state of ${quoteName(part)} is nested too deep`)
    if (Array.isArray(value)) return value.map((inner) => visit(inner, depth + 1))
    const entries = Object.entries(value)
    if (entries[0]?.[0].startsWith('$')) return special(entries, part, tensors)
    return Object.fromEntries(entries.map(([key, inner]) => [key, visit(inner, depth + 1)]))
  }
  return visit(described, 0)
}

function special(entries: readonly [string, unknown][], part: string, tensors: ReadonlyMap<string, ArrayRecord>): unknown {
  const [key, value] = entries[0]!
  if (entries.length === 1 && typeof value === 'string') {
    if (key === '$number' && ['NaN', 'Infinity', '-Infinity', '-0'].includes(value)) return Number(value)
    if (key === '$bigint' && /^-?\d{1,100}$/.test(value)) return BigInt(value)
    const record = key === '$tensor' ? tensors.get(value) : undefined
    if (record) return tensorOf(value, record)
    if (key === '$tensor') throw corrupt(`the tensor ${quoteName(value)} of ${quoteName(part)} is missing`)
  }
  throw corrupt(`the state of ${quoteName(part)} holds something unknown: ${quoteName(key)}`)
}

const refused = (message: string, hint: string) => new CotangentError('invalid-argument', { op: 'checkpoint', message, hint })
const corrupt = (message: string, cause?: unknown) => corruptFile('checkpoint', message, { cause })
