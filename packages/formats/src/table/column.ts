import { CotangentError, type DType, tensor, type Tensor } from 'cotangent'

/**
 * What a column of a table holds. `categories` are texts that are kept as their positions in the list (int32); bool is true, yes, 1 or
 * false, no, 0.
 */
export type ColumnType =
  | 'float32'
  | 'float64'
  | 'int32'
  | 'int64'
  | 'uint8'
  | 'bool'
  | 'string'
  | { readonly categories: readonly string[] }

/** A type, or one with what stands for missing values: without it, these are NaN in floats and an error elsewhere. */
export type ColumnSpec = ColumnType | { readonly type: ColumnType; readonly missing?: number | bigint | boolean | string }

export type Columns = Readonly<Record<string, ColumnSpec>>

type TypeOf<C extends ColumnSpec> = C extends { readonly type: infer T } ? T : C
/** One cell. */
type Cell<C extends ColumnSpec> =
  TypeOf<C> extends 'string' ? string : TypeOf<C> extends 'int64' ? bigint : TypeOf<C> extends 'bool' ? boolean : number
/** A row of a table. */
export type TableRow<C extends Columns> = { -readonly [K in keyof C]: Cell<C[K]> }
/** Columns of several rows: tensors `[rows]`, and texts as arrays. */
export type TableBatch<C extends Columns> = { -readonly [K in keyof C]: TypeOf<C[K]> extends 'string' ? string[] : Tensor }

/** A column with what it takes to read its cells from text. */
export interface Column {
  readonly name: string
  readonly dtype: DType | 'string'
  /** @throws Error where the text is no such value. */
  readonly parse: (text: string) => number | bigint | boolean | string
  /** For cells that are missing; undefined where they may not be. */
  readonly missing: number | bigint | boolean | string | undefined
}

export function makeColumn(name: string, spec: ColumnSpec): Column {
  const { type, missing } = typeof spec === 'object' && 'type' in spec ? spec : { type: spec, missing: undefined }
  if (typeof type === 'object') {
    const positions = new Map(type.categories.map((category, i) => [category, i]))
    const parse = (text: string) => {
      const position = positions.get(text)
      if (position === undefined) throw new Error(`${quoted(text)} is none of the ${type.categories.length} categories`)
      return position
    }
    return { name, dtype: 'int32', parse, missing: typeof missing === 'string' ? parse(missing) : missing }
  }
  const parse = parsers[type]
  if (!parse) {
    const hint = `Use ${Object.keys(parsers).join(', ')} or { categories: [...] }.`
    throw new CotangentError('invalid-argument', {
      op: 'columns',
      message: `column ${quoted(name)} has the unknown type ${quoted(String(type))}`,
      hint,
    })
  }
  return { name, dtype: type, parse, missing: missing ?? (type.startsWith('float') ? Number.NaN : undefined) }
}

const integers: Readonly<Record<string, readonly [low: number, high: number]>> = { int32: [-(2 ** 31), 2 ** 31 - 1], uint8: [0, 255] }

const decimal = /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i
const endless = /^([+-]?)inf(inity)?$/i

function parseNumber(text: string): number {
  const trimmed = text.trim()
  if (decimal.test(trimmed)) return Number(trimmed)
  const infinite = endless.exec(trimmed)
  if (infinite) return infinite[1] === '-' ? -Infinity : Infinity
  if (/^nan$/i.test(trimmed)) return Number.NaN
  throw new Error(`${quoted(text)} is no number`)
}

const parseInteger = (low: number, high: number) => (text: string) => {
  const value = parseNumber(text)
  if (!Number.isInteger(value) || value < low || value > high) throw new Error(`${quoted(text)} is no whole number from ${low} to ${high}`)
  return value
}

const truths = new Map<string, boolean>([
  ['true', true],
  ['yes', true],
  ['1', true],
  ['false', false],
  ['no', false],
  ['0', false],
])

const parsers: Record<Exclude<ColumnType, object>, Column['parse']> = {
  float32: parseNumber,
  float64: parseNumber,
  int32: parseInteger(...integers.int32!),
  uint8: parseInteger(...integers.uint8!),
  int64: (text) => {
    const trimmed = text.trim()
    const value = /^[+-]?\d+$/.test(trimmed) ? BigInt(trimmed.replace('+', '')) : undefined
    if (value === undefined || BigInt.asIntN(64, value) !== value) throw new Error(`${quoted(text)} is no whole number of 64 bits`)
    return value
  },
  bool: (text) => {
    const value = truths.get(text.trim().toLowerCase())
    if (value === undefined) throw new Error(`${quoted(text)} is neither true nor false`)
    return value
  },
  string: (text) => text,
}

/** A cell of a file that has types of its own, as this column holds it. Texts are read as in CSV. */
export function convertCell({ name, dtype, parse, missing }: Column, value: unknown): number | bigint | boolean | string {
  if (value === null || value === undefined) {
    if (missing !== undefined) return missing
    throw new Error(`column ${quoted(name)} has no value: give the column { type, missing }`)
  }
  if (typeof value === 'string') return parse(value)
  if (dtype === 'bool' && typeof value === 'boolean') return value
  if (dtype === 'int64' && typeof value === 'bigint') return value
  if (typeof value === 'number') {
    if (dtype === 'float32' || dtype === 'float64') return value
    const range = integers[dtype]
    if (range && Number.isInteger(value) && value >= range[0] && value <= range[1]) return value
  }
  if (dtype === 'string' || (typeof value !== 'number' && typeof value !== 'bigint' && typeof value !== 'boolean')) {
    const what = value instanceof Date ? 'a date' : Array.isArray(value) ? 'a list' : `a ${typeof value}`
    throw new Error(`column ${quoted(name)} holds ${what}, not ${dtype}`)
  }
  return parse(String(value))
}

/** The narrowest of number, truth value and text that all samples are; what is missing does not count. */
export function inferType(samples: readonly string[]): ColumnType {
  const all = (type: 'float64' | 'bool') =>
    samples.every((text) => {
      try {
        parsers[type](text)
        return true
      } catch {
        return false
      }
    })
  if (samples.length === 0) return 'string'
  if (all('float64')) return 'float64'
  return all('bool') ? 'bool' : 'string'
}

/** Cells of a column as a tensor, or as they are where they are texts. */
export function packColumn({ dtype }: Pick<Column, 'dtype'>, cells: readonly unknown[]): Tensor | string[] {
  return dtype === 'string' ? (cells as string[]) : tensor(cells as number[], { dtype, shape: [cells.length] })
}

/** Rows as objects. They are copies of one, which is faster than making each, and has the property even for a column named `__proto__`. */
export function rowMaker(names: readonly string[]): (cells: readonly unknown[]) => Record<string, unknown> {
  const empty = Object.fromEntries(names.map((name) => [name, undefined as unknown]))
  return (cells) => {
    const row = { ...empty }
    for (let i = 0; i < names.length; i++) row[names[i]!] = cells[i]
    return row
  }
}

export const quoted = (text: string): string => JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}...` : text)
