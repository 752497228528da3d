import { realpath } from 'node:fs/promises'
import { isAbsolute, join, relative, sep } from 'node:path'
import { BoardError } from './board-error.ts'

/**
 * Where a file under `root` really is. Refuses whatever leads outside: absolute paths, `..`, and links, wherever on the way.
 *
 * @param root without links.
 */
export async function containedPath(root: string, path: string): Promise<string> {
  const refused = (): BoardError => new BoardError(403, `${JSON.stringify(path)} is not under the folder of the board`)
  if (path.includes('\0') || path.includes('\\') || isAbsolute(path) || !isWithin(root, join(root, path))) throw refused()
  let real: string
  try {
    real = await realpath(join(root, path))
  } catch (error) {
    throw new BoardError(404, `there is no ${JSON.stringify(path)}`, (error as NodeJS.ErrnoException).code)
  }
  if (!isWithin(root, real)) throw refused()
  return real
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path)
  return way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way)
}
