import { mkdir } from 'node:fs/promises'
import { dirname, join, sep } from 'node:path'
import { CotangentError } from 'cotangent'
import { ioFailure, writeWhole } from 'cotangent/node'

/** Writes a file of a run, with the folders that it is in. */
export async function writeArtifact(folder: string, name: string, content: Uint8Array | string): Promise<void> {
  const path = artifactPath(folder, name)
  await mkdir(dirname(path), { recursive: true }).catch((cause: unknown) => {
    throw ioFailure(path, 'written', cause)
  })
  await writeWhole(path, typeof content === 'string' ? new TextEncoder().encode(content) : content)
}

/** Where a file of a run is kept. @throws CotangentError `invalid-argument` where that is outside of the folder. */
function artifactPath(folder: string, name: string): string {
  const path = join(folder, name)
  if (path.startsWith(folder + sep)) return path
  throw new CotangentError('invalid-argument', {
    op: 'Tracker.artifact',
    message: `${JSON.stringify(name)} lies outside of the run`,
    hint: 'Names are relative, without "..".',
  })
}
