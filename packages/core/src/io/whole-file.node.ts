import { randomUUID } from 'node:crypto'
import { open, readdir, readFile, rename, rm, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { dirname, join } from 'node:path'
import { CotangentError } from '../errors.ts'
import { viewBytes } from './array-record.ts'
import { joinBytes } from './join-bytes.ts'

/** Writes beside the file, makes sure that the bytes are on the disk, and only then takes the file's place. */
export async function writeWhole(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
  const folder = dirname(path)
  const temporary = join(folder, `${temporaryPrefix}${process.pid}-${randomUUID()}.tmp`)
  try {
    const file = await open(temporary, 'wx')
    try {
      await file.writeFile(content instanceof Uint8Array ? content : gathered(content))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
    await syncFolder(folder)
  } catch (cause) {
    await rm(temporary, { force: true }).catch(() => {})
    throw ioFailure(path, 'written', cause)
  }
}

/** What one call to the system should write at least, and what it can. */
const [smallBytes, largeBytes] = [2 ** 18, 2 ** 30]

/** Pieces with small ones put together and large ones cut. */
function* gathered(pieces: readonly Uint8Array[]): Generator<Uint8Array> {
  let small: Uint8Array[] = []
  let bytes = 0
  for (const piece of pieces) {
    if (piece.length < smallBytes) {
      small.push(piece)
      bytes += piece.length
    }
    if (piece.length >= smallBytes || bytes >= smallBytes) {
      if (bytes > 0) yield joinBytes(small)
      small = []
      bytes = 0
    }
    if (piece.length >= smallBytes) yield* cut(piece)
  }
  if (bytes > 0) yield joinBytes(small)
}

/** In parts that calls of Node take, which count bytes in 31 bits. */
export function* cut(piece: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < piece.length; at += largeBytes) yield viewBytes(piece, at, Math.min(piece.length, at + largeBytes))
}

/** So that the new name survives a power cut. Windows has no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === 'win32') return
  const handle = await open(folder, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const temporaryPrefix = `.cotangent-${hostname().replaceAll(/[^A-Za-z0-9]/g, '_')}-`
const temporaryName = /^\.cotangent-\w*-(\d+)-[0-9a-f-]{36}\.tmp$/
const dayMs = 24 * 3600 * 1000

/**
 * Removes what processes that were killed while they wrote into a folder have left there. Those of other machines, of which it
 * cannot be known whether they live, count as dead when nothing was written for a day.
 */
export async function removeStaleTemporaries(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = temporaryName.exec(name)?.[1]
    if (pid === undefined) continue
    const path = join(folder, name)
    const modified = await stat(path).catch(() => undefined)
    if (!modified) continue
    const age = Date.now() - modified.mtimeMs
    const mayLive = !name.startsWith(temporaryPrefix) || isAlive(Number(pid), age)
    if (mayLive && age < dayMs) continue
    await rm(path, { force: true })
  }
}

/** Whether the process of a file of this age may still be at it. */
function isAlive(pid: number, age: number): boolean {
  // In containers everyone's process has the same number: what was written before this one began is another's.
  if (pid === process.pid) return age < process.uptime() * 1000
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // Someone else's process may not be signalled, but it is there.
    return codeOf(error) === 'EPERM'
  }
}

/** What `readFile` takes at most. */
const readLimit = 2 ** 31 - 1

/**
 * All bytes of a file, however many.
 * @throws {CotangentError} `io-failure`, with the path and what to do.
 */
export async function readWhole(path: string): Promise<Uint8Array> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      if (size <= readLimit) return await readFile(file)
      const bytes = new Uint8Array(size)
      let at = 0
      for (;;) {
        const { bytesRead } = await file.read(bytes, at, Math.min(largeBytes, size - at), at)
        if (bytesRead === 0) return viewBytes(bytes, 0, at)
        at += bytesRead
      }
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw ioFailure(path, 'read', cause)
  }
}

/** The first `count(first)` bytes of a file, of which `first` is the first `initial` ones, and the bytes of the whole. */
export async function readStart(
  path: string,
  initial: number,
  count: (first: Uint8Array) => number,
): Promise<{ start: Uint8Array; size: number }> {
  try {
    const file = await open(path, 'r')
    try {
      const { size } = await file.stat()
      const read = async (bytes: number): Promise<Uint8Array> => {
        const into = new Uint8Array(Math.min(bytes, size))
        const { bytesRead } = await file.read(into, 0, into.length, 0)
        return viewBytes(into, 0, bytesRead)
      }
      return { start: await read(count(await read(initial))), size }
    } finally {
      await file.close()
    }
  } catch (cause) {
    throw cause instanceof CotangentError ? cause : ioFailure(path, 'read', cause)
  }
}

/** The code of an error of the system, such as ENOSPC. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'The disk is full: make room on it, or write to another.',
  EDQUOT: 'Your share of the disk is used up: make room, or write to another disk.',
  EFBIG: 'It is larger than the file system, or a limit on this process (ulimit -f), allows.',
  EROFS: 'The file system is read-only: write somewhere else.',
  EACCES: 'Check who may read and write there.',
  EPERM: 'Check who may read and write there.',
  ENOENT: 'It is not there: check the path, and whether something has removed it.',
}

/** What to throw where the system refused a file: its code as a hint that says what to do. */
export function ioFailure(path: string, what: 'read' | 'written', cause: unknown): CotangentError {
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CotangentError('io-failure', {
    message: `${path} cannot be ${what}: ${reason}`,
    hint: remedies[codeOf(cause) ?? ''] ?? 'Check the path, its permissions and the room on the disk.',
    cause,
  })
}
