import { readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { BoardError } from './board-error.ts'
import { containedPath } from './contained-path.ts'
import type { RunMark } from './protocol.ts'

/** In the folder of the board: what people say of its runs. The board reads it and never writes it. */
const marksFile = 'board.json'

/** More than this is no file of names and notes. */
const mostBytes = 4 * 2 ** 20
const kinds = { name: 'string', color: 'string', note: 'string', pinned: 'boolean' } as const

/** Marks by name of run. @throws BoardError that says what is wrong with the text. */
export function parseMarks(text: string): Record<string, RunMark> {
  const wrong = (what: string): BoardError =>
    new BoardError(422, `${marksFile}: ${what}`, 'it must be like {"runs": {"FOLDER": {"name": "...", "note": "..."}}}')
  let file: unknown
  try {
    file = JSON.parse(text)
  } catch (error) {
    throw wrong((error as Error).message)
  }
  const runs = isObject(file) ? file['runs'] : undefined
  if (!isObject(runs)) throw wrong('there is no object "runs" in it')
  for (const [run, mark] of Object.entries(runs)) {
    if (!isObject(mark)) throw wrong(`${JSON.stringify(run)} is no object`)
    for (const [key, value] of Object.entries(mark)) {
      const kind = kinds[key as keyof typeof kinds]
      if (!kind) throw wrong(`${JSON.stringify(run)} has ${JSON.stringify(key)}, which is none of ${Object.keys(kinds).join(', ')}`)
      if (typeof value !== kind) throw wrong(`${key} of ${JSON.stringify(run)} must be a ${kind}, not ${JSON.stringify(value)}`)
    }
    const { color } = mark as RunMark
    if (color && !/^#[0-9a-f]{6}$/i.test(color))
      throw wrong(`color of ${JSON.stringify(run)} must be like #0072b2, not ${JSON.stringify(color)}`)
  }
  return runs as Record<string, RunMark>
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value)

/** Follows the file of marks in a folder. */
export class MarksFile {
  readonly #root: string
  #version = ''
  marks: Record<string, RunMark> = {}
  /** Why it could not be read, if it is there. */
  problem: string | undefined

  constructor(root: string) {
    this.#root = root
  }

  /** Reads the file if it has changed. Returns whether it had. */
  async refresh(): Promise<boolean> {
    const version = await versionOf(join(this.#root, marksFile))
    if (version === this.#version) return false
    this.#version = version
    this.marks = {}
    this.problem = undefined
    if (version === '') return true
    try {
      const path = await containedPath(this.#root, marksFile)
      if ((await stat(path)).size > mostBytes) throw new BoardError(422, `${marksFile} is larger than ${mostBytes} bytes`)
      this.marks = parseMarks(await readFile(path, 'utf8'))
    } catch (error) {
      this.problem = error instanceof BoardError && error.hint ? `${error.message}: ${error.hint}` : (error as Error).message
    }
    return true
  }
}

/** Another one whenever the file was written; empty without a file. */
async function versionOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined)
  return found ? `${found.mtimeMs} ${found.size} ${found.ino}` : ''
}
