import { readFile } from 'node:fs/promises'
import { extname } from 'node:path'
import type { Reply } from './board-api.ts'
import { BoardError } from './board-error.ts'
import { containedPath } from './contained-path.ts'

const types: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
}

/** A file of the built page. Names of assets hold a hash of what is in them, so browsers may keep them. */
export async function staticFile(folder: string, path: string): Promise<Reply> {
  const name = path === '/' ? 'index.html' : path.slice(1)
  const file = await containedPath(folder, name)
  const type = types[extname(file)]
  if (!type) throw new BoardError(404, `there is no ${JSON.stringify(path)}`)
  const cache = name.startsWith('assets/') ? 'public, max-age=31536000, immutable' : 'no-cache'
  return { type, body: await readFile(file), headers: { 'Cache-Control': cache } }
}
