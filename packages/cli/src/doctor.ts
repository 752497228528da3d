import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, freemem, totalmem } from 'node:os'
import { promisify } from 'node:util'
import { currentEngine, engineNamed, engineNames, setThreads, uniform, wasmFeatures } from 'cotangent'

/** Something that may be there or not. */
interface Finding {
  name: string
  ok: boolean
  /** What it is, or why it is not there and what to do. */
  words: string
}

export interface Diagnosis {
  node: string
  platform: string
  processor: { model: string; cores: number; instructionSets: string[] }
  /** Bytes. */
  memory: { all: number; free: number }
  engines: Finding[]
  native: Finding
  accelerators: Finding[]
  /** Of float32 matrix products of 512 x 512, billions of operations a second. */
  gflops: number
}

/** Looks at what this machine has and what Cotangent makes of it. Takes about a second. */
export async function diagnose(): Promise<Diagnosis> {
  const features = wasmFeatures()
  const wanted = availableParallelism()
  await setThreads(wanted)
  const { threads } = currentEngine()
  const has = (on: boolean, name: string): string => (on ? name : `no ${name}`)
  const capabilities = [has(features.simd, 'SIMD'), has(features.relaxedSimd, 'fused multiply-add'), has(features.threads, 'shared memory')]
  const words: Record<string, string> = {
    wasm: `${threads} thread${threads === 1 ? '' : 's'}${threads < wanted ? ` of ${wanted} wanted` : ''}; ${capabilities.join(', ')}`,
    reference: 'plain and slow, to check the others against',
  }
  return {
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    processor: { model: cpus()[0]?.model ?? 'unknown', cores: wanted, instructionSets: instructionSets() },
    memory: { all: totalmem(), free: freemem() },
    engines: engineNames().map((name) => ({ name, ...attempt(() => engineNamed(name).name && (words[name] ?? 'registered')) })),
    native: await native(),
    accelerators: [await nvidia()],
    gflops: matmulRate(),
  }
}

function attempt(look: () => string): Omit<Finding, 'name'> {
  try {
    return { ok: true, words: look() }
  } catch (error) {
    return { ok: false, words: (error as Error).message }
  }
}

const interesting = [
  'neon',
  'asimd',
  'sve',
  'sse4_2',
  'avx',
  'avx2',
  'fma',
  'f16c',
  'avx512f',
  'avx512_bf16',
  'avx512_fp16',
  'avx512_vnni',
  'avx_vnni',
  'amx_tile',
  'amx_bf16',
  'amx_int8',
]

/** What Linux says of the processor; elsewhere Node has no way to know, and the list is empty. */
function instructionSets(): string[] {
  try {
    const flags = new Set(/^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]?.trim().split(/\s+/))
    return interesting.filter((name) => flags.has(name))
  } catch {
    return []
  }
}

async function native(): Promise<Finding> {
  const name = '@cotangent/native'
  let addon: typeof import('@cotangent/native')
  try {
    addon = await import('@cotangent/native')
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === 'ERR_MODULE_NOT_FOUND'
    return {
      name,
      ok: false,
      words: missing ? `not installed: npm install ${name} for faster matrix products and convolutions` : (error as Error).message,
    }
  }
  const status = addon.status()
  if (!status.active) return { name, ok: false, words: status.reason }
  return { name, ok: true, words: `oneDNN ${status.version} with ${status.instructionSet}, threads by ${status.threading}` }
}

async function nvidia(): Promise<Finding> {
  const name = 'NVIDIA GPU'
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi', ['--query-gpu=name,memory.total', '--format=csv,noheader'], {
      timeout: 5000,
    })
    return { name, ok: false, words: `${stdout.trim().replaceAll('\n', '; ')}: there, but this version has no engine for it` }
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return {
      name,
      ok: false,
      words: code === 'ENOENT' ? 'none found (there is no nvidia-smi)' : `nvidia-smi failed: ${message.split('\n')[0]}`,
    }
  }
}

/** The best of several: other programs only ever make it slower. */
function matmulRate(): number {
  const size = 512
  const [a, b] = [uniform([size, size]), uniform([size, size])]
  let best = Infinity
  for (let i = 0; i < 8; i++) {
    const started = performance.now()
    a.matmul(b).sum().item()
    best = Math.min(best, performance.now() - started)
  }
  return (2 * size ** 3) / best / 1e6
}

/** A diagnosis for people. */
export function describe({ node, platform, processor, memory, engines, native, accelerators, gflops }: Diagnosis, version: string): string {
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`
  const lines = (findings: readonly Finding[]): string[] =>
    findings.map(({ name, ok, words }) => `  ${ok ? 'yes' : ' no'}  ${name.padEnd(width)}  ${words}`)
  const width = Math.max(...[...engines, native, ...accelerators].map(({ name }) => name.length))
  const sets = processor.instructionSets.length > 0 ? processor.instructionSets.join(' ') : 'unknown on this system'
  return [
    `Cotangent ${version} on Node ${node}, ${platform}`,
    '',
    `Processor     ${processor.model}, ${processor.cores} threads`,
    `Instructions  ${sets}`,
    `Memory        ${gigabytes(memory.all)}, ${gigabytes(memory.free)} of it free`,
    '',
    'Engines',
    ...lines(engines),
    '',
    'Native code',
    ...lines([native]),
    '',
    'Accelerators',
    ...lines(accelerators),
    '',
    `Matrix products of 512 x 512 float32: ${gflops.toFixed(0)} GFLOP/s as things are now`,
    '',
  ].join('\n')
}
