import { CotangentError } from 'cotangent'
import { type ByteParts, type ByteSource, bytesFrom } from 'cotangent/data'
import { hubFailure, isPassing } from './hub-error.ts'

/** Which repository of which hub, and by whose right. */
export interface HubOptions {
  /** Default `dataset`. */
  readonly kind?: 'dataset' | 'model' | 'space'
  /** A branch, tag or commit. Default `main`. */
  readonly revision?: string
  /** For what is private or gated; in Node, by default that of the environment variable `HF_TOKEN`. */
  readonly token?: string
  /** A hub other than https://huggingface.co; in Node, by default that of the environment variable `HF_ENDPOINT`. */
  readonly endpoint?: string
  /** How often a request that fails, or breaks off, is made again. Default 4, after 0.25 s, 0.5 s, 1 s and 2 s. */
  readonly retries?: number
  readonly fetch?: typeof fetch
}

/** A file of a repository. */
export interface HubEntry {
  readonly path: string
  readonly bytes: number
}

/**
 * A file of the Hugging Face Hub, for the readers of this package and of `cotangent/data`. Nothing is asked for before it is read; what is
 * read is not kept.
 *
 *     readParquet(hubFile('ylecun/mnist', 'mnist/train-00000-of-00001.parquet'))
 *
 * @throws CotangentError when it is read: `io-failure` where there is no such file, it may not be read, or the hub does not answer.
 */
export function hubFile(repo: string, path: string, options: HubOptions = {}): ByteSource {
  const name = nameOf(repo, options, path)
  let opened: Promise<Required<Pick<ByteSource, 'read' | 'parts'>>> | undefined
  const open = async () => {
    const { downloadFile } = await loadHub()
    const blob = await downloadFile({ ...accessOf(repo, options), path })
    if (!blob) throw Object.assign(new Error('there is no such file'), { statusCode: 404 })
    return bytesFrom(blob) as Required<ByteSource>
  }
  const file = () => (opened ??= open().catch((error: unknown) => ((opened = undefined), Promise.reject(error as Error))))
  const part = <T>(use: (parts: ByteParts) => Promise<T>) => again(name, options, async () => use((await file()).parts))
  return {
    name,
    async *read(offset = 0) {
      let at = offset
      for (let failures = 0; ;) {
        try {
          for await (const chunk of (await file()).read(at)) {
            yield chunk
            at += chunk.length
            failures = 0
          }
          return
        } catch (cause) {
          await pause(name, options, failures++, cause)
        }
      }
    },
    parts: { size: () => part((parts) => parts.size()), read: (begin, end) => part((parts) => parts.read(begin, end)) },
  }
}

/**
 * The files of a repository, in all folders, sorted by path.
 *
 *     const shards = await hubFiles('allenai/c4', { match: /^en\/c4-train.*\.json\.gz$/ })
 *     Dataset.from(shards).interleave(({ path }) => jsonLines(gunzip(hubFile('allenai/c4', path))))
 *
 * @throws CotangentError `io-failure`, as `hubFile`.
 */
export function hubFiles(repo: string, { match, ...options }: HubOptions & { readonly match?: RegExp } = {}): Promise<HubEntry[]> {
  return again(nameOf(repo, options), options, async () => {
    const { listFiles } = await loadHub()
    const entries: HubEntry[] = []
    for await (const { type, path, size } of listFiles({ ...accessOf(repo, options), recursive: true })) {
      if (type === 'file' && (!match || path.search(match) >= 0)) entries.push({ path, bytes: size })
    }
    return entries.toSorted((a, b) => (a.path < b.path ? -1 : 1))
  })
}

function nameOf(repo: string, { kind = 'dataset', revision }: HubOptions, path?: string): string {
  return `hf://${kind}s/${repo}${revision === undefined ? '' : `@${revision}`}${path === undefined ? '' : `/${path}`}`
}

function accessOf(repo: string, { kind = 'dataset', revision, token, endpoint, fetch }: HubOptions) {
  return {
    repo: { type: kind, name: repo },
    ...(revision !== undefined && { revision }),
    ...(token !== undefined && { accessToken: token }),
    ...(endpoint !== undefined && { hubUrl: endpoint }),
    ...(fetch && { fetch }),
  }
}

async function again<T>(name: string, options: HubOptions, ask: () => Promise<T>): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask()
    } catch (cause) {
      await pause(name, options, failures, cause)
    }
  }
}

/** Waits before it is tried again, or gives up. */
async function pause(name: string, { retries = 4 }: HubOptions, failures: number, cause: unknown): Promise<void> {
  if (failures >= retries || !isPassing(cause)) throw hubFailure(name, cause)
  await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** failures))
}

async function loadHub(): Promise<typeof import('@huggingface/hub')> {
  try {
    return await import('@huggingface/hub')
  } catch (cause) {
    throw new CotangentError('unsupported', {
      message: 'files of the hub are read by the package @huggingface/hub, which cannot be loaded',
      hint: 'npm install @huggingface/hub',
      cause,
    })
  }
}
