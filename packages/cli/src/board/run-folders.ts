import type { Dirent } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { isEventFile } from '@cotangent/formats/tensorboard'
import { localRunFiles } from './local-run-source.ts'

export interface RunFolder {
  /** From the folder that is watched, with `/`; `.` for that one itself. */
  name: string
  /** Event files, oldest first: their names begin with the time of their making. And the files of a local tracker. */
  files: readonly EventFile[]
}

export interface EventFile {
  path: string
  size: number
}

/** Folders of dependencies and of version control are no place for runs, and large. */
const skipped = /^(node_modules|\.git|\.venv|__pycache__)$/
const deepest = 16

/** Is this the name of a trace in Chrome's format? */
export const isTrace = (name: string): boolean => /\.trace\.json(\.gz)?$/.test(name)

interface Found {
  runs: RunFolder[]
  /** Chrome traces, from the folder that is watched, with `/`. */
  traces: string[]
}

/**
 * The runs and traces under a folder. Links are not followed: what lies outside is not shown, and what lies inside is found
 * without them. A folder that vanishes or may not be read is passed over.
 */
export async function findRuns(root: string): Promise<Found> {
  const found: Found = { runs: [], traces: [] }
  const visit = async (name: string, depth: number): Promise<void> => {
    const folder = join(root, name)
    const entries = await listing(folder, depth === 0)
    const names = entries.filter((entry) => entry.isFile()).map((entry) => entry.name)
    const isLocalRun = localRunFiles.every((file) => names.includes(file))
    const files = names.filter((file) => isEventFile(file) || (isLocalRun && localRunFiles.includes(file)))
    if (files.length > 0) {
      const sized = await Promise.all(files.sort().map((file) => sizeOf(join(folder, file))))
      found.runs.push({ name, files: sized.filter((file) => file !== undefined) })
    }
    for (const entry of entries) {
      const path = name === '.' ? entry.name : `${name}/${entry.name}`
      if (entry.isFile() && isTrace(entry.name)) found.traces.push(path)
      else if (entry.isDirectory() && depth < deepest && !skipped.test(entry.name)) await visit(path, depth + 1)
    }
  }
  await visit('.', 0)
  found.runs.sort((a, b) => collator.compare(a.name, b.name))
  found.traces.sort(collator.compare)
  return found
}

const collator = new Intl.Collator('en', { numeric: true })

const vanished = new Set(['ENOENT', 'EACCES', 'EPERM', 'ENOTDIR'])

async function listing(folder: string, required: boolean): Promise<Dirent[]> {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (!required && vanished.has((error as NodeJS.ErrnoException).code ?? '')) return []
    throw error
  }
}

async function sizeOf(path: string): Promise<EventFile | undefined> {
  try {
    return { path, size: (await stat(path)).size }
  } catch (error) {
    if (vanished.has((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}
