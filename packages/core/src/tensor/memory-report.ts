import { userLine } from '../autograd/anomaly.ts'
import type { MemoryUse } from '../engine/engine.ts'
import { CotangentError, formatBytes, formatShape } from '../errors.ts'
import type { Spec } from '../layout.ts'
import type { Block } from './reclaim.ts'

interface Refusal {
  /** What was asked for, and for which op. */
  readonly spec: Spec
  readonly maker: string
  readonly bytes: number
  readonly use: MemoryUse
  readonly live: readonly Block[]
}

/** Kinds of tensors that the message lists. */
const listed = 5

/** What an engine threw when it had no memory left, in terms of the tensors that hold it; other errors as they are. */
export function explainOutOfMemory(error: unknown, { spec, maker, bytes, use, live }: Refusal): unknown {
  if (!(error instanceof CotangentError) || error.code !== 'out-of-memory') return error
  const limit = use.limit === Number.POSITIVE_INFINITY ? '' : ` of ${formatBytes(use.limit)}`
  const traced = live.some((block) => block.trace !== undefined)
  return new CotangentError('out-of-memory', {
    op: maker,
    message:
      `no room for ${formatBytes(bytes)} (${describe(spec)}): ${formatBytes(use.inUse)} in use, ` +
      `${formatBytes(use.reserved)} reserved${limit}; ${holders(live)}`,
    hint:
      'Use a smaller batch, evaluate inside noGrad(), and keep numbers (loss.item()) rather than tensors of past steps.' +
      (traced || live.length === 0 ? '' : ' Inside detectAnomaly() this list also says where each tensor was made.'),
    cause: error,
  })
}

/** `live tensors: 3 x float32 [4096, 4096] from matmul (192 MiB), ...`, the largest first. */
function holders(live: readonly Block[]): string {
  if (live.length === 0) return 'no tensor is alive'
  const kinds = new Map<string, { count: number; bytes: number }>()
  for (const { spec, maker, trace, buffer } of live) {
    const name = `${describe(spec)} from ${maker}${trace === undefined ? '' : ` at ${userLine(trace)}`}`
    const kind = kinds.get(name) ?? { count: 0, bytes: 0 }
    kind.count++
    kind.bytes += buffer.bytes
    kinds.set(name, kind)
  }
  const largest = [...kinds].sort(([, a], [, b]) => b.bytes - a.bytes)
  const lines = largest.slice(0, listed).map(([name, { count, bytes }]) => `${count} x ${name} (${formatBytes(bytes)})`)
  const rest = largest.slice(listed).reduce((sum, [, { count }]) => sum + count, 0)
  return `live tensors: ${lines.join(', ')}${rest > 0 ? ` and ${rest} smaller ones` : ''}`
}

const describe = ({ dtype, shape }: Spec): string => `${dtype} ${formatShape(shape)}`
