import { execFile } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { autotune } from './autotune.ts'
import { tuningRecord } from './tuning-record.ts'

let folder: string
let notices: string[]
const record = (...code: string[]) => tuningRecord(code, (message) => notices.push(message))
const files = () => readdirSync(join(folder, 'cotangent')).map((name) => join(folder, 'cotangent', name))

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tuning-'))
  notices = []
  vi.stubEnv('XDG_CACHE_HOME', folder)
  vi.stubEnv('COTANGENT_CACHE_DIR', '')
})
afterEach(() => {
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

it('remembers across processes, for the same code only', () => {
  const first = record('oneDNN 1')
  expect(first.get('a')).toBeUndefined()
  first.set('a', 'fast')
  expect(first.get('a')).toBe('fast')
  expect(record('oneDNN 1').get('a')).toBe('fast')
  expect(record('oneDNN 2').get('a')).toBeUndefined()
  record('oneDNN 2').set('a', 'other')
  expect(record('oneDNN 1').get('a')).toBe('fast')
  expect(files().length).toBe(2)
  expect(JSON.parse(readFileSync(files()[0]!, 'utf8'))).toMatchObject({ environment: { cotangent: expect.stringMatching(/^\d/) } })
  expect(notices).toEqual([])
})

it('two processes at once lose nothing that was written before', () => {
  const [one, two] = [record(), record()]
  expect(one.get('a') ?? two.get('a')).toBeUndefined()
  one.set('a', '1')
  two.set('b', '2')
  one.set('c', '3')
  expect(['a', 'b', 'c'].map((key) => record().get(key))).toEqual(['1', '2', '3'])
  expect(files().length).toBe(1)
})

it.each([
  ['rubbish', '{"format": "cotangent-autotune", "choi'],
  ['another format', '{"format": "x", "choices": {}}'],
  ['null', 'null'],
  ['choices that are no words', undefined],
])('a file that holds %s is said once, measured anew and replaced', (_, content) => {
  record().set('a', 'fast')
  const [file] = files() as [string]
  writeFileSync(file, content ?? readFileSync(file, 'utf8').replace('"fast"', '1'))
  const later = record()
  expect(later.get('a')).toBeUndefined()
  later.set('b', 'x')
  expect(notices).toEqual([
    expect.stringMatching(/^Cotangent: .*autotune-\w+\.json is not what autotuning has written; it is measured anew\.$/),
  ])
  expect(record().get('b')).toBe('x')
  expect(notices.length).toBe(1)
})

it('goes where it is told; where it cannot write it says so once and goes on', () => {
  const own = join(folder, 'own')
  vi.stubEnv('COTANGENT_CACHE_DIR', own)
  record().set('a', 'fast')
  expect(readdirSync(own).length).toBe(1)
  // A file where the folder should be; permissions would not stop root.
  const blocked = join(folder, 'file')
  writeFileSync(blocked, '')
  chmodSync(blocked, 0o600)
  vi.stubEnv('COTANGENT_CACHE_DIR', join(blocked, 'below'))
  const later = record()
  expect(later.get('a')).toBeUndefined()
  later.set('a', 'fast')
  later.set('b', 'fast')
  expect(later.get('b')).toBe('fast')
  expect(notices).toEqual([expect.stringMatching(/cannot be (read|written) \(.*\)/)])
})

it('is the process’s own where there is no Node', () => {
  vi.stubGlobal('process', undefined)
  try {
    record().set('a', 'fast')
  } finally {
    vi.unstubAllGlobals()
  }
  expect(readdirSync(folder)).toEqual([])
})

it('COTANGENT_AUTOTUNE=1 has programs measure, and the next process starts with what they found', async () => {
  const program = join(import.meta.dirname, `program-${process.pid}.ts`)
  writeFileSync(
    program,
    `import { autotune, normal, setAutotune, setThreads } from 'cotangent'
await setThreads(1)
const [a, b] = [normal([20, 30]), normal([30, 40])]
const y = a.matmul(b).dataSync()
setAutotune(false)
console.log(autotune(), y.length)`,
  )
  const run = (env: Record<string, string>) =>
    promisify(execFile)(process.execPath, [...process.execArgv, program], { env: { ...process.env, NODE_OPTIONS: '', ...env } })
  try {
    expect(autotune()).toBe(false)
    await run({})
    expect(readdirSync(folder)).toEqual([])
    expect((await run({ COTANGENT_AUTOTUNE: '1' })).stdout.trim()).toBe('false 800')
    const [file] = files() as [string]
    const found = readFileSync(file, 'utf8')
    expect(Object.keys(JSON.parse(found).choices).length).toBe(1)
    await run({ COTANGENT_AUTOTUNE: '1' })
    expect(readFileSync(file, 'utf8')).toBe(found)
  } finally {
    rmSync(program)
  }
})
