import { environment } from '../environment.ts'

/** What measurements found to be fastest, by what was measured; the words are those of whoever asks. */
export interface TuningRecord {
  get(key: string): string | undefined
  set(key: string, choice: string): void
}

interface Files {
  readFileSync(path: string, encoding: 'utf8'): string
  writeFileSync(path: string, text: string): void
  mkdirSync(path: string, options: { recursive: true }): void
  renameSync(from: string, to: string): void
  existsSync(path: string): boolean
  rmSync(path: string): void
}
interface NodeProcess {
  readonly pid: number
  readonly platform: string
  readonly arch: string
  readonly versions: { readonly node?: string; readonly v8?: string }
  // Finds modules of Node without an import that bundlers would follow.
  getBuiltinModule?(name: 'node:fs'): Files
  getBuiltinModule?(name: 'node:os'): { homedir(): string; cpus(): { model: string }[]; availableParallelism(): number }
  getBuiltinModule?(name: 'node:path'): { join(...parts: string[]): string }
  getBuiltinModule?(name: 'node:crypto'): { createHash(name: 'sha256'): { update(text: string): { digest(as: 'hex'): string } } }
  getBuiltinModule?(name: 'node:module'): { createRequire(from: string): (name: string) => unknown }
}

const format = 'cotangent-autotune'

/**
 * The record of this machine: in Node a file that processes share, elsewhere this page's own. The file is for one model of CPU, one
 * release of this package and of all code that was measured; for others there are other files.
 *
 * @param code Releases of what was measured besides this package.
 * @param notice Receives, once, why the file cannot be read or written; the record is then the process's own.
 */
export function tuningRecord(code: readonly string[], notice: (message: string) => void): TuningRecord {
  const { process: host } = globalThis as { process?: NodeProcess }
  const os = host?.versions?.node === undefined ? undefined : host.getBuiltinModule?.('node:os')
  const version = os && packageVersion(host!)
  if (!host || !os || version === undefined) return new Map<string, string>()
  const { platform, arch, versions } = host
  const machine = { cpu: os.cpus()[0]?.model ?? '', cores: os.availableParallelism(), platform, arch }
  return new TuningFile(host, { ...machine, cotangent: version, v8: versions.v8 ?? '', code }, notice)
}

/** Undefined in a bundle, which is no package. */
function packageVersion(host: NodeProcess): string | undefined {
  try {
    const require = host.getBuiltinModule!('node:module').createRequire(import.meta.url)
    return (require('cotangent/package.json') as { version: string }).version
  } catch {
    return undefined
  }
}

/** Where files that can be made again go, by the XDG base directory specification. */
function cacheFolder(host: NodeProcess): string {
  const own = environment('COTANGENT_CACHE_DIR')
  if (own) return own
  const { join } = host.getBuiltinModule!('node:path')
  const shared = environment('XDG_CACHE_HOME') || (host.platform === 'win32' && environment('LOCALAPPDATA'))
  return join(shared || join(host.getBuiltinModule!('node:os').homedir(), '.cache'), 'cotangent')
}

/** Choices in one JSON file, read when the first one is asked for and written whenever there is another. */
class TuningFile implements TuningRecord {
  readonly #files: Files
  readonly #folder: string
  readonly #path: string
  readonly #environment: object
  readonly #hash: (text: string) => string
  readonly #temporary: string
  readonly #notice: (message: string) => void
  #choices: Map<string, string> | undefined
  /** Whether something about the file was said; it is left alone then where it cannot be written. */
  #complained = false
  #writable = true

  constructor(host: NodeProcess, environment: object, notice: (message: string) => void) {
    const { join } = host.getBuiltinModule!('node:path')
    const crypto = host.getBuiltinModule!('node:crypto')
    this.#files = host.getBuiltinModule!('node:fs')
    this.#hash = (text) => crypto.createHash('sha256').update(text).digest('hex').slice(0, 32)
    this.#folder = cacheFolder(host)
    this.#environment = environment
    this.#path = join(this.#folder, `autotune-${this.#hash(JSON.stringify(environment)).slice(0, 12)}.json`)
    this.#temporary = `${this.#path}.${host.pid}-${Math.random().toString(36).slice(2)}.tmp`
    this.#notice = notice
  }

  get(key: string): string | undefined {
    this.#choices ??= this.#read()
    return this.#choices.get(this.#hash(key))
  }

  set(key: string, choice: string): void {
    const choices = (this.#choices ??= this.#read())
    choices.set(this.#hash(key), choice)
    if (!this.#writable) return
    // Others may have written meanwhile. What two write at the same moment is lost for one of them, and measured again some day.
    for (const [other, found] of this.#read()) if (!choices.has(other)) choices.set(other, found)
    const content = { format, environment: this.#environment, choices: Object.fromEntries(choices) }
    try {
      this.#files.mkdirSync(this.#folder, { recursive: true })
      this.#files.writeFileSync(this.#temporary, `${JSON.stringify(content, undefined, 1)}\n`)
      this.#files.renameSync(this.#temporary, this.#path)
    } catch (error) {
      this.#writable = false
      if (this.#files.existsSync(this.#temporary)) this.#files.rmSync(this.#temporary)
      this.#complain(`cannot be written (${reasonOf(error)}): what autotuning finds is forgotten when this process ends`)
    }
  }

  #read(): Map<string, string> {
    let text: string
    try {
      text = this.#files.readFileSync(this.#path, 'utf8')
    } catch (error) {
      // The first process on a machine finds none.
      if ((error as { code?: string }).code !== 'ENOENT') this.#complain(`cannot be read (${reasonOf(error)})`)
      return new Map()
    }
    const choices = choicesIn(text, JSON.stringify(this.#environment))
    if (!choices) this.#complain('is not what autotuning has written; it is measured anew')
    return choices ?? new Map()
  }

  #complain(what: string): void {
    if (!this.#complained) this.#notice(`Cotangent: ${this.#path} ${what}.`)
    this.#complained = true
  }
}

/** Undefined where the text is anything but a record for this environment. */
function choicesIn(text: string, environment: string): Map<string, string> | undefined {
  let content: { format?: unknown; environment?: unknown; choices?: unknown } | null
  try {
    content = JSON.parse(text) as typeof content
  } catch {
    return undefined
  }
  if (content?.format !== format || JSON.stringify(content.environment) !== environment) return undefined
  const { choices } = content
  if (typeof choices !== 'object' || choices === null) return undefined
  const entries = Object.entries(choices as Record<string, unknown>)
  return entries.every((entry): entry is [string, string] => typeof entry[1] === 'string') ? new Map(entries) : undefined
}

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
