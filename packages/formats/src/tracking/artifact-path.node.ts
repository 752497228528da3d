import { join, sep } from 'node:path'
import { CotangentError } from 'cotangent'

/** Where a file of a run is kept. @throws CotangentError `invalid-argument` where that is outside of the folder. */
export function artifactPath(folder: string, name: string): string {
  const path = join(folder, name)
  if (path.startsWith(folder + sep)) return path
  throw new CotangentError('invalid-argument', {
    op: 'Tracker.artifact',
    message: `${JSON.stringify(name)} lies outside of the run`,
    hint: 'Names are relative, without "..".',
  })
}
