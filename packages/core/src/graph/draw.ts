import { CotangentError, formatBytes } from '../errors.ts'
import { formatCount } from '../text-table.ts'
import type { Compiled } from './compile.ts'
import { costOf } from './cost.ts'
import { lineOf, spaceOf } from './describe.ts'
import { drawStyle, drawScript } from './draw-page.ts'
import { isRead, type Read, type Value } from './graph.ts'
import { layoutLayers, type Point } from './layered-layout.ts'
import { bytesOf } from './memory.ts'
import { type Operation, type Program, resultsOf, rootOf } from './program.ts'

type Kind = 'kernel' | 'routine' | 'argument' | 'result'
type ChipKind = 'op' | 'memory' | 'output'

interface Chip {
  readonly kind: ChipKind
  readonly text: string
}

/** A box of the drawing: a title, chips in rows, a line below. */
interface Figure {
  readonly kind: Kind
  readonly title: string
  readonly side: string
  readonly rows: readonly (readonly Chip[])[]
  readonly foot: string
  readonly tip: string
}

interface Arrow {
  readonly from: number
  readonly to: number
  readonly label: string
  readonly tip: string
}

// Of the monospaced fonts that the style asks for, in pixels.
const TITLE_CHAR = 7.9
const CHIP_CHAR = 6.7
const LABEL_CHAR = 6.1
const ROW_WIDTH = 250
const CHIP_HEIGHT = 20
const PAD = 10
const MOST_CHIPS = 12

/**
 * A drawing of a program: its kernels and routines as boxes with the ops that were fused into each, arrows for the values between
 * them, in one self-contained HTML page (light and dark; the wheel zooms, dragging moves, boxes tell their lines of code, bytes
 * and flops).
 *
 * @param of A compiled function that was called, whose latest program this draws, or a program.
 * @throws `invalid-argument` if the function has no program yet.
 */
export function drawGraph(of: Compiled<(...args: never[]) => unknown> | Program): string {
  const program = programOf(of)
  const { figures, arrows } = picture(program)
  const sizes = figures.map(sizeOf)
  const { width, height, corners, routes } = layoutLayers(sizes, arrows)
  const ends = arrows.map((arrow, i) => ({ ...arrow, ...routes[i]!.at(-1)! }))
  const lines = arrows.map((arrow, i) => {
    // Where another arrow's end is in the way, the number is in the tooltip only.
    const room = Math.min(...ends.filter(({ to, x }) => to === arrow.to && x > ends[i]!.x).map(({ x }) => x - ends[i]!.x))
    return drawArrow(arrow, routes[i]!, room > arrow.label.length * LABEL_CHAR + 8)
  })
  const boxes = figures.map((figure, i) => drawFigure(figure, i, { ...corners[i]!, ...sizes[i]! }))
  const margin = 24
  const box = [-margin, -margin, width + 2 * margin, height + 2 * margin].map((n) => n.toFixed(0)).join(' ')
  const name = typeof of === 'function' ? of.name || 'function' : 'program'
  const kernels = program.operations.filter((o) => o.program.kind === 'kernel').length
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escape(name)}</title>
<style>${drawStyle}</style>
<header><b>${escape(name)}</b> ${kernels} kernels, ${program.operations.length - kernels} routines
<i class="kernel"></i>kernel <i class="routine"></i>routine <i class="argument"></i>argument <i class="memory"></i>parameter or constant <i class="output"></i>written</header>
<svg viewBox="${box}" xmlns="http://www.w3.org/2000/svg"><defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>
${[...lines, ...boxes].join('\n')}
</svg>
<script>${drawScript}</script></html>
`
}

function programOf(of: Compiled<(...args: never[]) => unknown> | Program): Program {
  if (typeof of !== 'function') return of
  const last = of.specializations.at(-1)
  if (last) return last.executable.program
  throw new CotangentError('invalid-argument', {
    op: 'drawGraph',
    message: 'this compiled function has no program yet',
    hint: 'Call it first, or explain() it with arguments.',
  })
}

function picture(program: Program): { figures: Figure[]; arrows: Arrow[] } {
  const { graph, operations } = program
  const shapes = shapesOf(program)
  const read = new Set(operations.flatMap(({ inputs }) => inputs.map(({ value }) => rootOf(value))))
  const given = graph.inputs.filter(({ value }) => read.has(value))
  const figures: Figure[] = given.map(({ value, spec }) => ({
    kind: 'argument',
    title: `argument ${value.source.kind === 'argument' ? value.source.index : ''}`,
    side: `${spec.dtype} ${spec.shape.join('×')}`,
    rows: [],
    foot: '',
    tip: formatBytes(bytesOf(value)),
  }))
  const makers = new Map<Value, number[]>(given.map(({ value }, i) => [value, [i]]))
  const outputs = outputNames(program)
  const arrows = new Map<string, Arrow>()
  for (const operation of operations) {
    const at = figures.push(figureOf(operation, shapes, outputs)) - 1
    for (const { value } of operation.inputs) {
      for (const from of makers.get(value) ?? makers.get(rootOf(value)) ?? []) {
        const label = shapes(value)
        arrows.set(`${from} ${at} ${value.id}`, { from, to: at, label, tip: `${value.dtype} ${label}, ${formatBytes(bytesOf(value))}` })
      }
    }
    for (const { value } of operation.outputs) makers.set(value, [...(makers.get(value) ?? []), at])
  }
  return { figures, arrows: [...arrows.values()] }
}

/** `16×32` of values, as the ops that read or make them see them. */
function shapesOf({ graph }: Program): (value: Value) => string {
  const shapes = new Map<Value, readonly number[]>()
  const enter = ({ value, spec }: Read) => {
    if (spec.size === value.size && spec.contiguous && !shapes.has(value)) shapes.set(value, spec.shape)
  }
  graph.inputs.forEach(enter)
  for (const { inputs, outputs } of graph.nodes) [...outputs, ...inputs.filter(isRead)].forEach(enter)
  return (value) => shapes.get(value)?.join('×') || (value.size === 1 ? 'scalar' : `(${value.size})`)
}

/** What values that outlive a run are to the caller. */
function outputNames({ graph }: Program): Map<Value, string> {
  const names = new Map<Value, string>()
  const needed = resultsOf(graph)
  graph.outputs.forEach(({ value }, i) => names.set(value, graph.outputs.length > 1 ? `result ${i}` : 'result'))
  for (const gradient of graph.gradients.values()) if (gradient) names.set(gradient.value, '.grad')
  for (const [memory, value] of graph.writes) names.set(value, memory.source.kind === 'argument' ? 'argument' : 'parameter')
  for (const value of needed) if (!names.has(value)) names.set(value, 'result')
  return names
}

function figureOf(operation: Operation, shapes: (value: Value) => string, results: ReadonlyMap<Value, string>): Figure {
  const { program, inputs, outputs, origins } = operation
  const { bytesRead, bytesWritten, flops } = costOf(
    program,
    inputs.map(({ value }) => value.size),
  )
  const ops = counted(origins.map((o) => o.name))
  const outside = inputs.filter(({ value }) => ['captured', 'gradient'].includes(rootOf(value).source.kind))
  const title = program.kind !== 'kernel' ? program.name : ops.length === 1 ? ops[0]! : `${origins.length} ops in one kernel`
  const inside = program.kind !== 'kernel' && ops.length === 1 && ops[0] === title ? [] : ops.length > 1 || ops[0] !== title ? ops : []
  const chips = (kind: ChipKind, texts: readonly string[]) => texts.map((text) => ({ kind, text }))
  const lines = [...new Set(origins.map(lineOf))]
  return {
    kind: program.kind === 'kernel' ? 'kernel' : 'routine',
    title,
    side: spaceOf(program).replaceAll(', ', '×'),
    rows: [
      ...wrap(
        chips('memory', counted(outside.map(({ value }) => (value.source.kind === 'gradient' ? `.grad ${shapes(value)}` : shapes(value))))),
      ),
      ...wrap(chips('op', inside)),
      ...wrap(
        chips(
          'output',
          counted(outputs.filter(({ value }) => results.has(value)).map(({ value }) => `${results.get(value)} ${shapes(value)}`)),
        ),
      ),
    ],
    foot: `${formatBytes(bytesRead)} in, ${formatBytes(bytesWritten)} out, ${formatCount(flops, 'FLOP')}`,
    tip: [program.name, ...lines].join('\n'),
  }
}

/** Names, repeated ones once with their number. */
function counted(names: readonly string[]): string[] {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return [...counts].map(([name, count]) => (count > 1 ? `${name} · ${count}` : name))
}

const chipWidth = ({ text }: Chip): number => text.length * CHIP_CHAR + 14

function wrap(chips: readonly Chip[]): Chip[][] {
  const shown = chips.slice(0, MOST_CHIPS)
  if (chips.length > MOST_CHIPS) shown.push({ kind: chips[0]!.kind, text: `${chips.length - MOST_CHIPS} more` })
  const rows: Chip[][] = []
  let left = 0
  for (const chip of shown) {
    const width = chipWidth(chip) + 6
    if (left < width) {
      rows.push([])
      left = ROW_WIDTH
    }
    rows.at(-1)!.push(chip)
    left -= width
  }
  return rows
}

const rowWidth = (row: readonly Chip[]): number => row.reduce((sum, chip) => sum + chipWidth(chip) + 6, -6)

function sizeOf({ title, side, rows, foot }: Figure): { width: number; height: number } {
  const head = title.length * TITLE_CHAR + (side ? side.length * CHIP_CHAR + 18 : 0)
  return {
    width: Math.max(head, foot.length * CHIP_CHAR, ...rows.map(rowWidth)) + 2 * PAD,
    height: 34 + rows.length * (CHIP_HEIGHT + 5) + (foot ? 20 : 0),
  }
}

function drawFigure(
  { kind, title, side, rows, foot, tip }: Figure,
  index: number,
  { x, y, width, height }: { x: number; y: number; width: number; height: number },
): string {
  const text = (at: Point, content: string, classes: string, anchor = 'start') =>
    `<text x="${at.x.toFixed(1)}" y="${at.y.toFixed(1)}" class="${classes}" text-anchor="${anchor}">${escape(content)}</text>`
  const parts = [
    `<rect x="${x.toFixed(1)}" y="${y.toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="${rows.length || foot ? 9 : 17}"/>`,
    text({ x: x + PAD, y: y + 22 }, title, 'title'),
    text({ x: x + width - PAD, y: y + 22 }, side, 'side', 'end'),
  ]
  let top = y + 34
  for (const row of rows) {
    let left = x + PAD
    for (const chip of row) {
      const wide = chipWidth(chip)
      parts.push(
        `<rect class="chip ${chip.kind}" x="${left.toFixed(1)}" y="${top.toFixed(1)}" width="${wide.toFixed(1)}" height="${CHIP_HEIGHT}" rx="6"/>`,
        text({ x: left + wide / 2, y: top + 14 }, chip.text, 'chip', 'middle'),
      )
      left += wide + 6
    }
    top += CHIP_HEIGHT + 5
  }
  if (foot) parts.push(text({ x: x + PAD, y: top + 11 }, foot, 'foot'))
  return `<g class="node ${kind}" data-node="${index}"><title>${escape(tip)}</title>${parts.join('')}</g>`
}

function drawArrow({ from, to, label, tip }: Arrow, route: readonly Point[], labelled: boolean): string {
  const [first, ...rest] = route
  let path = `M${first!.x.toFixed(1)} ${first!.y.toFixed(1)}`
  let before = first!
  for (const point of rest) {
    const middle = ((before.y + point.y) / 2).toFixed(1)
    if (point.x === before.x) path += `V${point.y.toFixed(1)}`
    else path += `C${before.x.toFixed(1)} ${middle} ${point.x.toFixed(1)} ${middle} ${point.x.toFixed(1)} ${point.y.toFixed(1)}`
    before = point
  }
  const last = route.at(-1)!
  return (
    `<g class="edge" data-from="${from}" data-to="${to}"><title>${escape(tip)}</title><path d="${path}" marker-end="url(#tip)"/>` +
    (labelled ? `<text x="${(last.x + 6).toFixed(1)}" y="${(last.y - 9).toFixed(1)}">${escape(label)}</text>` : '') +
    '</g>'
  )
}

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
