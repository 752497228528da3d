import { writeFileSync } from 'node:fs'
import { availableParallelism, cpus, release, totalmem } from 'node:os'
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { suites } from './cases/index.ts'
import { factsOf } from './facts.ts'
import { measure, type Effort } from './measure.ts'
import { measureMemory } from './memory.ts'
import { makePhotos } from './photos.ts'
import { Reporter, type Row, type Skip } from './report.ts'
import { measureStartup } from './startup.ts'
import { type PeerName, remedies, Subject, subjectNames, type SubjectName, withNative } from './subject.ts'

const suiteNames = [...Object.keys(suites), 'memory', 'fit', 'startup']
const peerNames = subjectNames.filter((name): name is PeerName => !name.startsWith('ours'))

const help = `Times cotangent and its peers in turns and prints ratio = peer / ours (above 1: we are faster or smaller).

  npm run bench -- SUITE... [options]

Suites: ${suiteNames.join(', ')}; or all

  --json FILE      write machine, peers, rows and skipped cases as JSON
  --engine NAME    our engine: wasm (default), wasm+native (with the addon; wasm without is then a peer), reference
  --threads N      threads of ours and of PyTorch (default: all cores); the JavaScript peers have one
  --filter TEXT    only cases whose name contains TEXT
  --peers A,B      only these of ${peerNames.join(', ')}
  --rounds N       turns of each (default 11)
  --sample-ms N    length that a turn aims at (default 100)
  --quick          short form: 5 rounds of 30 ms
  --help           this text

PyTorch is looked for in COTANGENT_BENCH_PYTHON, else python3; it also exports the models that ONNX Runtime runs. See bench/README.md.`

interface Options {
  suites: string[]
  json: string | undefined
  engine: string
  threads: number
  filter: string
  peers: PeerName[]
  effort: Effort
}

function readOptions(): Options {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'string' },
      engine: { type: 'string', default: 'wasm' },
      threads: { type: 'string', default: String(availableParallelism()) },
      filter: { type: 'string', default: '' },
      peers: { type: 'string', default: peerNames.join(',') },
      rounds: { type: 'string' },
      'sample-ms': { type: 'string' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help || positionals.length === 0) {
    console.log(help)
    process.exit(values.help ? 0 : 2)
  }
  const wanted = positionals.includes('all') ? suiteNames : positionals
  for (const name of wanted) check(suiteNames.includes(name), `no suite "${name}"; there are ${suiteNames.join(', ')}`)
  const peers = values.peers.split(',').filter(Boolean)
  for (const name of peers) check(peerNames.includes(name as PeerName), `no peer "${name}"; there are ${peerNames.join(', ')}`)
  return {
    suites: wanted,
    json: values.json,
    engine: values.engine,
    threads: count('threads', values.threads),
    filter: values.filter,
    peers: peers as PeerName[],
    effort: {
      rounds: count('rounds', values.rounds ?? (values.quick ? '5' : '11')),
      sampleMs: count('sample-ms', values['sample-ms'] ?? (values.quick ? '30' : '100')),
    },
  }
}

function check(condition: boolean, message: string): asserts condition {
  if (condition) return
  console.error(`bench: ${message}`)
  process.exit(2)
}

function count(name: string, text: string): number {
  const value = Number(text)
  check(Number.isInteger(value) && value > 0, `--${name} takes a positive whole number, got "${text}"`)
  return value
}

function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    platform: `${process.platform}-${process.arch} ${release()}`,
    node: process.version,
  }
}

const options = readOptions()
const report = new Reporter((text) => process.stdout.write(text), process.stdout.isTTY === true && !process.env.NO_COLOR)
const host = machine()
report.line(`${host.cpu}, ${host.cores} cores, Node ${host.node}; ${options.effort.rounds} rounds, medians, noise = IQR / median`)

const facts: { name: SubjectName; version?: string; threads?: number; missing?: string }[] = []

async function open(names: readonly SubjectName[], mode: Row['mode']): Promise<Subject[]> {
  const subjects: Subject[] = []
  for (const name of names) {
    try {
      const subject = await Subject.open(name, { ...options, mode: name === 'ours' || name === 'ours-wasm' ? mode : 'eager' })
      subjects.push(subject)
      if (!facts.some((known) => known.name === name)) facts.push({ name, ...subject.facts })
      report.dim(`${name} ${subject.facts.version}, ${subject.facts.threads} thread${subject.facts.threads > 1 ? 's' : ''}`)
    } catch (error) {
      facts.push({ name, missing: (error as Error).message })
      report.line(`${name} is missing and is skipped: ${(error as Error).message} (${remedies[name]})`)
    }
  }
  return subjects
}

const rows: Row[] = []
const skipped: Skip[] = []
function keep(result: { rows: Row[]; skipped: Skip[] }): void {
  result.rows.forEach((row) => report.row(row))
  result.skipped.forEach((skip) => report.skip(skip))
  rows.push(...result.rows)
  skipped.push(...result.skipped)
}

const javaScript = ['tfjs-wasm', 'jax-js-wasm'] as const
const pytorch = ['pytorch-eager', 'pytorch-compile'] as const
/** Who is there to be compared with. In suites with `compiled`, our steps are compiled programs, and the same ones eagerly a peer. */
const fields: Record<keyof typeof suites | 'memory', { peers: readonly PeerName[]; compiled?: true }> = {
  ops: { peers: [...javaScript, 'onednn', 'fma-peak', 'pytorch-eager'] },
  train: { peers: [...javaScript, 'fma-peak', 'pytorch-eager'] },
  dispatch: { peers: [...javaScript, 'pytorch-eager'] },
  compile: { peers: [...javaScript, 'fma-peak', ...pytorch], compiled: true },
  infer: { peers: ['onnxruntime', ...pytorch], compiled: true },
  memory: { peers: pytorch, compiled: true },
  data: { peers: ['pytorch-eager', 'tensorflow'] },
}

/** All who take part in a suite, ours first. */
function participants(suite: keyof typeof fields): SubjectName[] {
  const { peers, compiled } = fields[suite]
  const own: SubjectName[] = ['ours']
  if (compiled) own.push('ours-eager')
  if (options.engine === withNative && suite !== 'data') own.push('ours-wasm')
  return [...own, ...peers.filter((name) => options.peers.includes(name))]
}

async function time(suite: keyof typeof suites): Promise<void> {
  if (suite === 'data') await makePhotos()
  const mode = fields[suite].compiled ? 'compiled' : 'eager'
  const subjects = await open(participants(suite), mode)
  report.suite(suite)
  for (const testCase of suites[suite]) {
    if (testCase.name.includes(options.filter)) keep(await measure(testCase, subjects, options.effort, { engine: options.engine, mode }))
  }
  subjects.forEach((subject) => subject.close())
}

for (const suite of Object.keys(suites) as (keyof typeof suites)[]) if (options.suites.includes(suite)) await time(suite)
if (options.suites.includes('data')) keep(await factsOf('data', { ...options, mode: 'eager' }))
if (options.suites.includes('memory')) {
  report.suite('memory')
  await measureMemory({ ...options, mode: 'compiled' }, participants('memory'), keep)
  keep(await factsOf('memory', { ...options, mode: 'compiled' }))
}
if (options.suites.includes('compile')) keep(await factsOf('compile', { ...options, mode: 'compiled' }))
if (options.suites.includes('fit')) {
  report.suite('fit')
  keep(await factsOf('fit', { ...options, mode: 'compiled' }))
}

if (options.suites.includes('startup')) {
  report.suite('startup')
  await measureStartup({ ...options, rounds: options.effort.rounds }, keep)
}

if (options.json) {
  // npm changes the directory to the package's; the user's own is where FILE is meant.
  const file = resolve(process.env.INIT_CWD ?? '.', options.json)
  writeFileSync(file, `${JSON.stringify({ date: new Date().toISOString(), machine: host, peers: facts, rows, skipped }, undefined, 2)}\n`)
  report.dim(`\nwritten to ${file}`)
}
