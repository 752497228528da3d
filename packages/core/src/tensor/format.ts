import { isFloat } from '../dtype.ts'
import { CotangentError, formatShape } from '../errors.ts'
import { type Element, type Nested, nest } from './elements.ts'
import { withModes } from './modes.ts'
import { collectStorages } from './storage.ts'
import type { Tensor } from './tensor.ts'

/** How tensors are printed, like `numpy.set_printoptions`. */
export interface PrintOptions {
  /** Digits after the point. Default 4. */
  readonly precision: number
  /** Tensors of more elements than this are summarised. Default 1000. */
  readonly threshold: number
  /** How many entries a summary shows at the start and at the end of each axis. Default 3. */
  readonly edgeItems: number
  /** Lines are broken before they get longer than this. Default 80. */
  readonly lineWidth: number
}

let options: PrintOptions = { precision: 4, threshold: 1000, edgeItems: 3, lineWidth: 80 }

/**
 * Changes how tensors are printed from here on; what is not named stays.
 *
 * @returns The options from before, for setting them back.
 */
export function setPrintOptions(changes: Partial<PrintOptions>): PrintOptions {
  const before = options
  for (const [name, value] of Object.entries(changes)) {
    const least = name === 'threshold' || name === 'precision' ? 0 : 1
    if (!(value >= least) || (value !== Number.POSITIVE_INFINITY && !Number.isInteger(value)) || (name === 'precision' && value > 100)) {
      throw new CotangentError('invalid-argument', {
        op: 'setPrintOptions',
        message: `${name} is ${value}`,
        hint: `Give an integer of at least ${least}.`,
      })
    }
  }
  options = { ...before, ...changes }
  return before
}

const indent = 'tensor('.length

/** NumPy-style text of a tensor. Reads no more of it than it shows. */
export function formatTensor(x: Tensor): string {
  if (x.isTracer) return `tracer([${x.shape}], ${x.dtype})`
  if (x.released) return `tensor(released, shape [${x.shape}], ${x.dtype})`
  if (!x.engine.synchronous)
    return `tensor([...], shape ${formatShape(x.shape)}, ${x.dtype}${gradientNote(x)}, on ${x.engine.name}: await t.data() to read)`
  const summarised = x.size > options.threshold
  const values = shownValues(x, summarised)
  const write = elementWriter(values, isFloat(x.dtype))
  const body = formatNested(values, x.shape, 0, summarised, write)
  const notes = [
    ...(summarised || x.size === 0 ? [`shape ${formatShape(x.shape)}`] : []),
    ...(x.dtype === 'float32' ? [] : [x.dtype]),
  ].join(', ')
  const suffix = (notes && `, ${notes}`) + gradientNote(x)
  const lastLine = body.length - (body.lastIndexOf('\n') + 1) + (body.includes('\n') ? 0 : indent)
  const fits = lastLine + suffix.length < options.lineWidth
  return `tensor(${body}${fits ? suffix : suffix.replace(', ', `,\n${' '.repeat(indent)}`)})`
}

function gradientNote(x: Tensor): string {
  if (!x.edge) return ''
  return x.isLeaf ? ', requiresGrad' : `, gradient of ${x.edge.node.name}`
}

/** Where axis entries are left out: after this many; null if all of `n` are shown. */
const cutAt = (n: number, summarised: boolean): number | null => (summarised && n > 2 * options.edgeItems ? options.edgeItems : null)

/** The elements that will be seen: the middle of long axes is cut out before anything is read. */
function shownValues(x: Tensor, summarised: boolean): Nested<Element> {
  const { result, made } = collectStorages(() => withModes({ tracer: null, grad: false }, () => read(x.detach(), 0, summarised)))
  for (const storage of made) storage.release()
  return result
}

function read(x: Tensor, from: number, summarised: boolean): Nested<Element> {
  const axis = x.shape.findIndex((n, i) => i >= from && cutAt(n, summarised) !== null)
  if (axis < 0) return nest(x.dataSync(), x.shape, x.dtype)
  const n = options.edgeItems
  const [start, end] = [x.narrow(axis, 0, n), x.narrow(axis, -n, n)].map((part) => read(part, axis + 1, summarised))
  return joinAt(axis, start!, end!)
}

function joinAt(axis: number, a: Nested<Element>, b: Nested<Element>): Nested<Element> {
  const [left, right] = [a, b] as (readonly Nested<Element>[])[]
  return axis === 0 ? [...left!, ...right!] : left!.map((part, i) => joinAt(axis - 1, part, right![i]!))
}

/** Text of each element, all of one width. Floats share one notation, so that their points are below each other. */
function elementWriter(values: Nested<Element>, float: boolean): (value: Element) => string {
  const all = ([values] as unknown[]).flat(Number.POSITIVE_INFINITY) as Element[]
  const write = float ? floatWriter(all as number[]) : String
  const width = Math.max(0, ...all.map((v) => write(v as number).length))
  return (v) => write(v as number).padStart(width)
}

function floatWriter(values: readonly number[]): (value: number) => string {
  const magnitudes = values.filter((v) => Number.isFinite(v) && v !== 0).map(Math.abs)
  const whole = magnitudes.every(Number.isInteger)
  const max = Math.max(...magnitudes)
  const min = Math.min(...magnitudes)
  const scientific = magnitudes.length > 0 && (max >= 1e8 || (!whole && (min < 1e-4 || max / min > 1000)))
  return (v) => {
    if (Number.isNaN(v)) return 'nan'
    if (!Number.isFinite(v)) return v > 0 ? 'inf' : '-inf'
    const sign = v < 0 || Object.is(v, -0) ? '-' : ''
    if (!scientific) return `${sign}${Math.abs(v).toFixed(whole ? 0 : options.precision)}${whole || options.precision === 0 ? '.' : ''}`
    const [digits, exponent] = Math.abs(v).toExponential(options.precision).split('e') as [string, string]
    return `${sign}${digits}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`
  }
}

function formatNested(
  values: Nested<Element>,
  shape: readonly number[],
  axis: number,
  summarised: boolean,
  write: (value: Element) => string,
): string {
  const rank = shape.length - axis
  if (rank === 0) return write(values as Element)
  if (shape.includes(0)) return '[]'
  const parts = (values as readonly Nested<Element>[]).map((part) => formatNested(part, shape, axis + 1, summarised, write))
  const cut = cutAt(shape[axis]!, summarised)
  if (cut !== null) parts.splice(cut, 0, '...')
  const margin = ' '.repeat(indent + axis + 1)
  if (rank > 1) return `[${parts.join(`,${'\n'.repeat(rank - 1)}${margin}`)}]`
  return `[${brokenLines(parts, options.lineWidth - margin.length - 1).join(`,\n${margin}`)}]`
}

/** As many parts a line as fit in `width`, at least one. */
function brokenLines(parts: readonly string[], width: number): string[] {
  const lines: string[] = []
  for (const part of parts) {
    const last = lines.length - 1
    if (last >= 0 && lines[last]!.length + part.length + 2 <= width) lines[last] += `, ${part}`
    else lines.push(part)
  }
  return lines
}
