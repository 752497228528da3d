import type { DType } from '../dtype.ts'
import { dtypeInfo } from '../dtype.ts'
import { formatShape } from '../errors.ts'
import type { Shape } from '../layout.ts'
import { zeros } from '../op/index.ts'
import { printedAs } from '../printed.ts'
import { noGrad } from '../tensor/modes.ts'
import { Tensor } from '../tensor/tensor.ts'
import { leavesOf } from '../tree.ts'
import type { Module } from './module.ts'
import type { Parameter } from './parameter.ts'

/** An input to run a model on: a shape (float32), a shape and dtype, or a tensor. */
export type InputSpec = Shape | { readonly shape: Shape; readonly dtype?: DType } | Tensor

/** One layer of a model's summary. */
/** A model's layers with their shapes, parameters and multiply-adds, and the sums over them. */
export interface SummaryRow {
  /** `layers.0`, '' for the model itself. */
  readonly name: string
  readonly type: string
  readonly depth: number
  /** Shape of the (last) output, or null if the layer did not run. */
  readonly output: Shape | null
  /** Elements of its own parameters, without those of the layers in it. */
  readonly parameters: number
  /** Multiply-adds of its own, over all its runs. */
  readonly macs: number
}

/** A model's layers with shapes and sizes, as `summary` finds them; prints as a table. */
export interface Summary {
  readonly rows: readonly SummaryRow[]
  /** Elements of all parameters, each counted once. */
  readonly parameters: number
  readonly trainable: number
  /** Of all parameters. */
  readonly bytes: number
  /** Multiply-adds of a forward pass. */
  readonly macs: number
  /** The table, to print. */
  toString(): string
}

const isTensor = (x: unknown): x is Tensor => x instanceof Tensor

/**
 * Runs the model on zeros (in eval mode, without gradients) and tells each layer's output shape, parameters and
 * multiply-adds. `console.log(nn.summary(model, [1, 28, 28, 1]))` prints a table.
 *
 * @param inputs The input, or one for each argument of `forward`. Embeddings need `{ shape, dtype: 'int32' }`.
 */
export function summary(model: Module, ...inputs: readonly InputSpec[]): Summary {
  const modules = model.namedModules()
  const runs = new Map<Module, { output: Shape | null; macs: number }>()
  const args = inputs.map(toTensor)
  const training = [...modules.values()].map((m) => [m, m.training] as const)
  const removers = [...modules.values()].map((module) =>
    module.registerForwardHook((_, given, result) => {
      const output = leavesOf(result, isTensor)[0]?.shape ?? null
      const shapes = leavesOf(given, isTensor).map((t) => t.shape)
      const macs = output ? module.macs(shapes, output) : 0
      runs.set(module, { output, macs: macs + (runs.get(module)?.macs ?? 0) })
    }),
  )
  try {
    model.eval()
    noGrad(() => (model as unknown as { forward(...args: readonly Tensor[]): unknown }).forward(...args))
  } finally {
    for (const remove of removers) remove()
    for (const [module, flag] of training) module.training = flag
  }
  const rows = rowsOf(modules, runs)
  const parameters = model.parameters()
  const result = {
    rows,
    parameters: sizes(parameters),
    trainable: sizes(parameters.filter((p) => p.requiresGrad)),
    bytes: parameters.reduce((sum, p) => sum + p.size * dtypeInfo[p.dtype].size, 0),
    macs: rows.reduce((sum, row) => sum + row.macs, 0),
  }
  return printedAs(result, () => format(result, args))
}

function rowsOf(modules: ReadonlyMap<string, Module>, runs: ReadonlyMap<Module, { output: Shape | null; macs: number }>): SummaryRow[] {
  const seen = new Set<Parameter>()
  const rows = new Map<string, SummaryRow>()
  for (const [name, module] of modules) {
    const inChildren = new Set(module.children().flatMap((child) => child.parameters()))
    const own = module.parameters().filter((p) => !inChildren.has(p) && !seen.has(p))
    for (const p of own) seen.add(p)
    const run = runs.get(module)
    // A part that its owner works on itself, like a cell of an LSTM, counts as the owner's.
    const owner = run ? undefined : [...rows.values()].findLast((row) => row.macs > 0 && isWithin(name, row.name))
    if (owner) rows.set(owner.name, { ...owner, parameters: owner.parameters + sizes(own) })
    else {
      const depth = [...rows.keys()].filter((other) => isWithin(name, other)).length
      rows.set(name, {
        name,
        type: module.constructor.name,
        depth,
        output: run?.output ?? null,
        parameters: sizes(own),
        macs: run?.macs ?? 0,
      })
    }
  }
  return [...rows.values()]
}

/** Whether `layers.0.weight` is below `layers`; all is below ''. */
const isWithin = (name: string, owner: string): boolean => (owner === '' ? name !== '' : name.startsWith(`${owner}.`))

const sizes = (tensors: readonly Tensor[]): number => tensors.reduce((sum, t) => sum + t.size, 0)

function toTensor(spec: InputSpec): Tensor {
  if (spec instanceof Tensor) return spec
  if ('shape' in spec) return zeros(spec.shape, spec.dtype ? { dtype: spec.dtype } : {}) as Tensor
  return zeros(spec) as Tensor
}

const grouped = (n: number): string => n.toLocaleString('en-US')

const byteUnits = ['B', 'kB', 'MB', 'GB']
const countUnits = ['', 'thousand ', 'million ', 'billion ']

/** 1536 -> `1.5 kB`. */
function scaled(n: number, units: readonly string[]): string {
  const step = Math.min(3, Math.max(0, Math.floor(Math.log10(n || 1) / 3)))
  const value = n / 1000 ** step
  return `${value.toFixed(value < 100 && step > 0 ? 1 : 0)} ${units[step]}`
}

/** The name of the row that a row is indented under. */
const ownerOf = ({ name }: SummaryRow, rows: readonly SummaryRow[]): string => rows.findLast((row) => isWithin(name, row.name))?.name ?? ''

function format({ rows, parameters, trainable, bytes, macs }: Omit<Summary, 'toString'>, inputs: readonly Tensor[]): string {
  const cells = rows.map((row) => [
    '  '.repeat(row.depth) + (row.name.slice(ownerOf(row, rows).length).replace(/^\./, '') || 'model'),
    row.type,
    row.output ? formatShape(row.output) : 'not run',
    row.parameters ? grouped(row.parameters) : '',
    row.macs ? grouped(row.macs) : '',
  ])
  const table = [['layer', 'type', 'output', 'parameters', 'multiply-adds'], ...cells]
  const widths = table[0]!.map((_, column) => Math.max(...table.map((row) => row[column]!.length)))
  const lines = table.map((row) =>
    row
      .map((cell, i) => (i < 3 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  )
  const rule = '─'.repeat(widths.reduce((a, b) => a + b + 2, -2))
  const frozen = parameters - trainable
  const total = `${grouped(parameters)} parameters (${scaled(bytes, byteUnits)}${frozen ? `, ${grouped(frozen)} frozen` : ''})`
  return [
    lines[0],
    rule,
    ...lines.slice(1),
    rule,
    `${total}, ${scaled(macs, countUnits)}multiply-adds on ${inputs.map((x) => formatShape(x.shape)).join(', ')}`,
  ].join('\n')
}
