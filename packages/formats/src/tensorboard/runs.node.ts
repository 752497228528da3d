import type { Dirent } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join, relative, sep } from 'node:path'

/** A folder that holds event files: what TensorBoard calls a run. */
export interface Run {
  /** Its path below the folder that was searched, with `/`; `.` for that folder itself. */
  readonly name: string
  /** Its event files, in the order in which they were begun. */
  readonly files: readonly string[]
}

/** The runs in a folder and below, by name. Folders that cannot be read are passed over. */
export async function findRuns(folder: string): Promise<Run[]> {
  const runs: Run[] = []
  const visit = async (at: string): Promise<void> => {
    let entries: Dirent[]
    try {
      entries = await readdir(at, { withFileTypes: true })
    } catch (error) {
      if (at === folder) throw error
      return
    }
    // The names begin with the time.
    const files = entries.filter((entry) => !entry.isDirectory() && isEventFile(entry.name)).map(({ name }) => join(at, name))
    if (files.length) runs.push({ name: relative(folder, at).split(sep).join('/') || '.', files: files.sort() })
    for (const entry of entries) if (entry.isDirectory()) await visit(join(at, entry.name))
  }
  await visit(folder)
  return runs.sort((a, b) => (a.name < b.name ? -1 : 1))
}

/** Whether a file's name is one that TensorBoard takes for an event file. */
export function isEventFile(name: string): boolean {
  return name.includes('tfevents')
}
