import { execFile, spawn } from 'node:child_process'
import { existsSync, mkdirSync, renameSync, statSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Prepared } from '../peer.ts'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

const folder = here('../.cache/')

/** A program in C++ beside this file: it reads numbers of runs of what its arguments name, and answers each with the seconds that they took. */
export class NativeProgram {
  readonly #name: string
  readonly #flags: readonly string[]
  readonly #file: string

  /** @param flags For the compiler, behind the source. */
  constructor(name: string, flags: readonly string[]) {
    this.#name = name
    this.#flags = flags
    this.#file = `${folder}${name}`
  }

  /** Compiles the program unless it is newer than its source. */
  async compile(): Promise<void> {
    const source = here(`${this.#name}.cc`)
    const file = this.#file
    if (existsSync(file) && statSync(file).mtimeMs > statSync(source).mtimeMs) return
    mkdirSync(folder, { recursive: true })
    const unfinished = `${file}.${process.pid}`
    await promisify(execFile)(process.env.CXX ?? 'c++', ['-std=c++17', '-fopenmp', source, '-o', unfinished, ...this.#flags])
    renameSync(unfinished, file)
  }

  /** What it writes for these arguments. */
  async output(...args: string[]): Promise<string> {
    return (await promisify(execFile)(this.#file, args)).stdout.trim()
  }

  /** The program with one case; it keeps the time. */
  prepare(...args: (string | number)[]): Prepared {
    const child = spawn(this.#file, args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] })
    const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
    const time = async (iterations: number): Promise<number> => {
      child.stdin.write(`${iterations}\n`)
      const { value, done } = await answers.next()
      if (done) throw new Error(`${this.#name} could not do ${args.join(' ')}`)
      return Number(value)
    }
    return { step: async () => void (await time(1)), time, dispose: () => void child.kill() }
  }
}
