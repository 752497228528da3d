import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bundle } from './bundle.ts'

/** `COTANGENT_KILLS=50 npx vitest run packages/core/test/resume.test.ts` is the long form. */
const kills = Number(process.env.COTANGENT_KILLS ?? 2)
const epochs = 10

const scratch = mkdtempSync(join(tmpdir(), 'cotangent-'))
const programs = ['trains-with-checkpoints', 'fits-with-checkpoints'] as const
const fileOf = (program: string) => join(scratch, `${program}.mjs`)
const children = new Set<ChildProcess>()
beforeAll(async () => {
  for (const program of programs) {
    const { code } = await bundle(new URL(`./fixtures/${program}.ts`, import.meta.url))
    writeFileSync(fileOf(program), code)
  }
})
afterAll(() => {
  for (const child of children) child.kill('SIGKILL')
  rmSync(scratch, { recursive: true })
})

interface Outcome {
  /** What the finished training printed; undefined when it was killed. */
  end?: string
  /** The step that it went on from, and the last one that it said was saved. */
  from?: number
  saved?: number
  /** From the first step to the end. */
  ms: number
  errors: string
}

/** Runs the training, and kills it so many milliseconds after its first step. */
async function run(program: string, folder?: string, killAfter?: number): Promise<Outcome> {
  const child = spawn(process.execPath, [fileOf(program), String(epochs), ...(folder === undefined ? [] : [folder])], { stdio: 'pipe' })
  children.add(child)
  const outcome: Outcome = { ms: 0, errors: '' }
  let began = 0
  child.stderr.on('data', (chunk) => (outcome.errors += String(chunk)))
  createInterface({ input: child.stdout }).on('line', (line) => {
    const [what, ...rest] = line.split(' ')
    if (what === 'from') {
      outcome.from = Number(rest[0])
      began = performance.now()
      if (killAfter !== undefined) setTimeout(() => child.kill('SIGKILL'), killAfter)
    }
    if (what === 'saved') outcome.saved = Number(rest[0])
    if (what === 'end') outcome.end = rest.join(' ')
  })
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve) => child.on('close', (...how) => resolve(how)))
  children.delete(child)
  outcome.ms = performance.now() - began
  if (signal !== 'SIGKILL' && code !== 0) throw new Error(`the training failed: ${outcome.errors}`)
  return outcome
}

test.each(programs)(
  `%s: killed ${kills} times, a training ends with the same bits as one that is not`,
  async (program) => {
    const straight = await run(program)
    expect(straight.end).toBeDefined()
    let killed = 0
    let folder = ''
    let longest = straight.ms
    for (let trainings = 0; killed < kills; trainings++) {
      folder = join(scratch, `${program} ${trainings}`)
      let safe = 0
      for (let end: string | undefined; end === undefined;) {
        const outcome = await run(program, folder, killed < kills ? Math.random() * longest : undefined)
        const { from, saved } = outcome
        expect(outcome.errors).toBe('')
        // What was said to be saved is: nothing is ever lost.
        expect(from).toBeGreaterThanOrEqual(safe)
        safe = Math.max(safe, saved ?? 0)
        end = outcome.end
        if (end === undefined) killed++
        else if (from === 0) longest = outcome.ms
        if (end !== undefined) expect(end).toBe(straight.end)
      }
    }
    // A new process, the last, has cleared away what the killed ones left half-written.
    const files = readdirSync(folder)
    expect(files.filter((file) => !/^\d{6}-step-\d+-[0-9a-f]{8}\.safetensors$/.test(file))).toEqual([])
    expect(files.length).toBeGreaterThanOrEqual(2)
    expect(files.length).toBeLessThanOrEqual(3)
  },
  60_000 + kills * 5_000,
)
