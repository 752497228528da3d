import { formatBytes } from '../errors.ts'
import { printedAs } from '../printed.ts'
import { formatCount, formatTime, textTable } from '../text-table.ts'
import type { Specialization } from './compile.ts'
import { type Cost, costOf } from './cost.ts'
import { lineOf, nameOf, spaceOf, stepsWithOrigins } from './describe.ts'
import { lower } from './lower.ts'
import { bytesOf, planMemory } from './memory.ts'
import type { Operation, Program } from './program.ts'
import { type Roofline, roofMs } from './roofline.ts'

/** One kernel or routine of a compiled function, or control flow on the host. */
export interface OperationReport extends Cost {
  /** The ops that it was made of: `mul + add`. */
  readonly name: string
  readonly kind: 'kernel' | 'routine' | 'control'
  /** What it works over; reduced axes behind a bar. */
  readonly space: string
  /** Names of all ops in it, in the order in which they were called. */
  readonly ops: readonly string[]
  /** The user's lines that called them, each once, the last op's first. */
  readonly lines: readonly string[]
  /** Median time of a run, where it was measured. */
  readonly ms?: number
  /** What the machine needs for the flops or the bytes, whichever takes longer. */
  readonly roofMs?: number
}

/** A whole program, counted. */
export interface Totals {
  readonly operations: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly flops: number
  /** Working memory, without arguments, parameters and results. */
  readonly arenaBytes: number
}

/** Why something was left apart that might have been one kernel. */
export interface FusionNote {
  readonly op: string
  readonly line: string
  readonly reason: string
}

/** What a compiled function does when it is called; prints as a table. */
export interface Explanation {
  readonly name: string
  /** In the order in which they run. */
  readonly operations: readonly OperationReport[]
  readonly total: Totals
  /** The same ops one by one, without fusion, in memory that is planned as well. Eager mode needs at least that. */
  readonly unfused: Totals
  /** Bytes of the results and gradients that outlive a run. */
  readonly resultBytes: number
  readonly broken: readonly FusionNote[]
  readonly measured?: Measured
  toString(): string
}

/** Medians over whole runs without a look inside, in turns with the machine's limits. */
export interface Measured {
  /** Of the copy, the one of as many bytes as the operation with most of them moves: the same caches hold them. */
  readonly roofline: Roofline
  readonly ms: number
  /** What the operations need at the roof over what they took, run by run. */
  readonly ofRoof: number
}

interface Times extends Measured {
  /** Of each step. */
  readonly steps: readonly number[]
}

export function explainSpecialization(name: string, { executable }: Specialization, times?: Times): Explanation {
  const { program, plan, steps: all } = executable
  const steps = stepsWithOrigins(all, program.operations)
  const operations = steps.map((step, i) => reportOf(step, times && { ms: times.steps[i]!, roofline: times.roofline }))
  const unfused = lower(program.graph)
  const result = {
    name: name || 'function',
    operations,
    total: totalsOf(operations, plan.arenaBytes),
    unfused: unfusedTotals(unfused),
    resultBytes: plan.results.reduce((sum, value) => sum + bytesOf(value), 0),
    broken: (program.notes ?? []).map(({ origin, reason }) => ({ op: origin.name, line: lineOf(origin), reason })),
    ...(times && { measured: { roofline: times.roofline, ms: times.ms, ofRoof: times.ofRoof } }),
  }
  return printedAs(result, () => format(result))
}

function reportOf(
  { program, operation }: ReturnType<typeof stepsWithOrigins>[number],
  time: { ms: number; roofline: Roofline } | undefined,
): OperationReport {
  const origins = operation?.origins ?? []
  const cost = costOf(program, sizesOf(operation))
  return {
    name: nameOf(origins, program),
    kind: program.kind,
    space: spaceOf(program),
    ops: origins.length > 0 ? origins.map((o) => o.name) : [program.name],
    lines: [...new Set(origins.toReversed().map(lineOf))],
    ...cost,
    ...(time && { ms: time.ms, roofMs: roofMs(cost, time.roofline) }),
  }
}

const sizesOf = (operation: Operation | undefined): number[] => operation?.inputs.map(({ value }) => value.size) ?? []

function totalsOf(costs: readonly Cost[], arenaBytes: number): Totals {
  const sum = (of: (cost: Cost) => number) => costs.reduce((total, cost) => total + of(cost), 0)
  return {
    operations: costs.length,
    bytesRead: sum((c) => c.bytesRead),
    bytesWritten: sum((c) => c.bytesWritten),
    flops: sum((c) => c.flops),
    arenaBytes,
  }
}

function unfusedTotals(program: Program): Totals {
  const costs = program.operations.map((operation) => costOf(operation.program, sizesOf(operation)))
  return totalsOf(costs, planMemory(program).arenaBytes)
}

const NAME_WIDTH = 44
const shorten = (text: string, width: number): string => (text.length <= width ? text : `${text.slice(0, width - 3)}...`)

const bytes = (n: number): string => formatBytes(n).replace(' bytes', ' B')
const percent = (share: number): string => `${(share * 100).toFixed(0)}%`

function format({ name, operations, total, unfused, resultBytes, broken, measured }: Explanation): string {
  const left = (title: string) => ({ title })
  const right = (title: string) => ({ title, align: 'right' as const })
  const columns = [right('#'), left('operation'), left('space'), right('read'), right('written'), right('flops'), right('ops')]
  if (measured) columns.push(right('time'), right('GB/s'), right('GFLOP/s'), right('of roof'))
  columns.push(left('line'))
  const rows = operations.map((op, i) => [
    String(i),
    `${op.kind === 'routine' ? '*' : op.kind === 'control' ? '>' : ' '}${shorten(op.name, NAME_WIDTH)}`,
    op.space,
    bytes(op.bytesRead),
    bytes(op.bytesWritten),
    formatCount(op.flops, ''),
    String(op.ops.length),
    ...(measured ? timeCells(op) : []),
    (op.lines[0] ?? '') + (op.lines.length > 1 ? ` +${op.lines.length - 1}` : ''),
  ])
  const count = (wanted: OperationReport['kind']) => operations.filter(({ kind }) => kind === wanted).length
  const control = count('control') > 0 ? `, control flow ${count('control')} times (>)` : ''
  const compared = (now: number, before: number, show: (n: number) => string) => `${show(now)} (op by op ${show(before)})`
  const moved = ({ bytesRead, bytesWritten }: Totals) => bytesRead + bytesWritten
  return [
    `${name}: ${total.operations} operations: ${count('kernel')} kernels, ${count('routine')} routines (*)${control}`,
    '',
    textTable(columns, rows),
    '',
    `operations      ${compared(total.operations, unfused.operations, String)}`,
    `bytes moved     ${compared(moved(total), moved(unfused), bytes)}`,
    `arithmetic      ${compared(total.flops, unfused.flops, (n) => formatCount(n, 'FLOP'))}`,
    `working memory  ${compared(total.arenaBytes, unfused.arenaBytes, bytes)}, and ${bytes(resultBytes)} of results`,
    ...(measured ? measuredLines(operations, measured) : []),
    ...(broken.length > 0 ? ['', 'left apart:', ...broken.map(({ op, line, reason }) => `  ${op} (${line}): ${reason}`)] : []),
  ].join('\n')
}

function timeCells({ ms = 0, roofMs: roof = 0, bytesRead, bytesWritten, flops }: OperationReport): string[] {
  const perMs = (n: number) => (ms > 0 ? (n / ms / 1e6).toPrecision(3) : '-')
  return [formatTime(ms), perMs(bytesRead + bytesWritten), perMs(flops), ms > 0 ? percent(roof / ms) : '-']
}

function measuredLines(operations: readonly OperationReport[], { roofline, ms, ofRoof }: Measured): string[] {
  const inside = operations.reduce((sum, op) => sum + (op.ms ?? 0), 0)
  const roof = operations.reduce((sum, op) => sum + (op.roofMs ?? 0), 0)
  return [
    `time            ${formatTime(ms)} a run (${formatTime(inside)} in the operations one by one; at the roof ${formatTime(roof)}, ${percent(ofRoof)})`,
    `the machine     copies ${roofline.copyGBs.toPrecision(3)} GB/s, multiplies and adds ${roofline.gflops.toPrecision(3)} GFLOP/s`,
  ]
}
