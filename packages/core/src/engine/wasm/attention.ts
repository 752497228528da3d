import { type DType, dtypeInfo } from '../../dtype.ts'
import { rowMajor, type Shape, sizeOf } from '../../layout.ts'
import { type Kernel, KernelBuilder, type Value } from '../kernel.ts'
import { type AttentionAttrs, type Operand, type Routine, routine, withEpilogue } from '../routine.ts'
import type { KernelRun } from './launch.ts'
import { type StepCompiler, withScratch } from './steps.ts'

/** Bytes of scores that are in memory at a time. */
const MOST_SCORES = 1 << 22
/** Fewest queries at a time: the keys and values are gone through for each part. */
const FEWEST_ROWS = 64

type Wide = 'float32' | 'float64'

const dense = (dtype: DType, shape: Shape): Operand => ({ dtype, shape, strides: rowMajor(shape) })
const bytesOf = ({ dtype, shape }: Operand): number => sizeOf(shape) * dtypeInfo[dtype].size
const turned = ({ dtype, shape: [n, rows, columns], strides: [s, row, column] }: Operand): Operand => ({
  dtype,
  shape: [n!, columns!, rows!],
  strides: [s!, column!, row!],
})

/** Heads that lie along one axis, dealt with together, and some of their queries. */
interface Piece {
  /** Places on the axes before the last one of the batch. */
  readonly outer: readonly number[]
  readonly head: number
  readonly heads: number
  readonly query: number
  readonly rows: number
  /** Keys that any of these queries sees, counted from the first. */
  readonly keys: number
}

class Pieces {
  readonly list: readonly Piece[]
  readonly batch: Shape
  readonly queries: number
  readonly keys: number

  constructor({ causal }: AttentionAttrs, q: Operand, k: Operand, type: Wide) {
    this.batch = q.shape.length > 2 ? q.shape.slice(0, -2) : [1]
    const [queries, keys] = [q.shape.at(-2)!, k.shape.at(-2)!]
    this.queries = queries
    this.keys = keys
    const along = this.batch.at(-1)!
    const most = Math.max(1, Math.floor(MOST_SCORES / (keys * dtypeInfo[type].size)))
    const rows = Math.min(queries, Math.max(FEWEST_ROWS, most))
    const together = rows < queries ? 1 : Math.max(1, Math.min(along, Math.floor(most / queries)))
    const list: Piece[] = []
    for (const outer of placesIn(this.batch.slice(0, -1)))
      for (let head = 0; head < along; head += together)
        for (let query = 0; query < queries; query += rows) {
          const own = Math.min(rows, queries - query)
          // Keys of several heads would not lie next to each other.
          const seen = causal && together === 1 ? Math.min(keys, query + own) : keys
          list.push({ outer, head, heads: Math.min(together, along - head), query, rows: own, keys: seen })
        }
    this.list = list
  }

  /** A part of an operand [...batch, rows, columns] as [heads, rows, columns]. */
  part({ dtype, shape, strides }: Operand, { heads }: Piece, rows: number, columns = shape.at(-1)!): Operand {
    return { dtype, shape: [heads, rows, columns], strides: [strides.at(-3) ?? 0, strides.at(-2)!, strides.at(-1)!] }
  }

  /** How many bytes into the operand a part starts. */
  offset({ dtype, strides }: Operand, { outer, head }: Piece, row = 0): number {
    const first = strides.length > 2 ? strides.slice(0, -2) : [0]
    const at = [...outer, head].reduce((sum, place, axis) => sum + place * first[axis]!, 0)
    return (at + row * strides.at(-2)!) * dtypeInfo[dtype].size
  }
}

function* placesIn(shape: Shape): Generator<number[]> {
  if (shape.length === 0) return yield []
  for (let i = 0; i < shape[0]!; i++) for (const rest of placesIn(shape.slice(1))) yield [i, ...rest]
}

/** An operand without its last axis, as one of a single column. */
const column = ({ dtype, shape, strides }: Operand): Operand => ({ dtype, shape: [...shape, 1], strides: [...strides, 1] })

/** Scores [heads, rows, keys] scaled and masked, and which count; null: all do. */
function scoresOf(k: KernelBuilder, attrs: AttentionAttrs, type: Wide, piece: Piece, mask: Operand | undefined) {
  const strides = rowMajor([piece.heads, piece.rows, piece.keys])
  let x = k.load(k.input(type), strides)
  x = k.mul(x, k.like(x, attrs.scale))
  const of = mask && k.load(k.input(mask.dtype), mask.strides)
  if (mask && mask.dtype !== 'bool') x = k.add(x, k.cast(of!, type))
  if (!mask && !attrs.causal) return { x, counts: null }
  let counts = k.ne(x, k.like(x, Number.NEGATIVE_INFINITY))
  if (mask?.dtype === 'bool') counts = k.and(counts, of!)
  if (attrs.causal) counts = k.and(counts, k.le(k.index(2), k.add(k.index(1), k.constant('int32', piece.query))))
  return { x, counts }
}

/** Scores -> weights, and log-sums of rows. */
function weightsKernel(attrs: AttentionAttrs, type: Wide, piece: Piece, mask: Operand | undefined): Kernel {
  const k = new KernelBuilder('attentionWeights', [piece.heads, piece.rows], [piece.keys])
  const { x, counts } = scoresOf(k, attrs, type, piece, mask)
  const seen = counts ? k.select(counts, x, k.like(x, Number.NEGATIVE_INFINITY)) : x
  const most = k.reduce('max', seen)
  const e: Value = counts ? k.select(counts, k.exp(k.sub(x, most)), k.like(x, 0)) : k.exp(k.sub(x, most))
  const total = k.reduce('sum', e)
  const empty = k.eq(total, k.like(total, 0))
  const weights = counts ? k.select(empty, k.like(e, 0), k.div(e, total)) : k.div(e, total)
  const logSum = k.add(most, k.log(total))
  k.output(type, weights)
  k.output(type, counts ? k.select(empty, k.like(total, Number.POSITIVE_INFINITY), logSum) : logSum)
  return k.build()
}

/** Scores, mask, gradients of weights, log-sums, common parts -> weights and gradients of the scores before scaling. */
function slopesKernel(attrs: AttentionAttrs, type: Wide, piece: Piece, mask: Operand | undefined, logSums: Operand): Kernel {
  const k = new KernelBuilder('attentionSlopes', [piece.heads, piece.rows, piece.keys])
  const { x, counts } = scoresOf(k, attrs, type, piece, mask)
  const slopes = k.load(k.input(type), rowMajor(k.parallel))
  const sum = k.load(k.input(logSums.dtype), [logSums.strides[0]!, logSums.strides[1]!, 0])
  const common = k.load(k.input(type), [piece.rows, 1, 0])
  const raw = k.exp(k.sub(x, sum))
  const weights = counts ? k.select(counts, raw, k.like(raw, 0)) : raw
  k.output(type, weights)
  k.output(type, k.mul(k.mul(weights, k.sub(slopes, common)), k.like(slopes, attrs.scale)))
  return k.build()
}

/** Gradient and result [heads, rows, width] -> their products' sums. */
function commonKernel(type: Wide, g: Operand, y: Operand): Kernel {
  const k = new KernelBuilder('attentionCommon', g.shape.slice(0, 2), g.shape.slice(2))
  const [a, b] = [g, y].map(({ dtype, strides }) => k.cast(k.load(k.input(dtype), strides), type)) as [Value, Value]
  k.output(type, k.reduce('sum', k.mul(a, b)))
  return k.build()
}

function castKernel(from: Operand, to: DType): Kernel {
  const k = new KernelBuilder('copy', from.shape)
  k.output(to, k.load(k.input(from.dtype), from.strides))
  return k.build()
}

/** A product added to what is there. */
function adding(product: Routine<'matmul'>): Routine<'matmul'> {
  const [y] = product.outputs as [Operand]
  const k = new KernelBuilder('add', y.shape)
  const raw = k.load(k.input(y.dtype), y.strides)
  k.output(y.dtype, k.add(raw, k.load(k.input(y.dtype), y.strides)))
  return withEpilogue(product, k.build(), [y])
}

const product = (a: Operand, b: Operand, y: Operand): Routine<'matmul'> => routine('matmul', {}, [a, b], [y])

/** What is made ready once for all pieces of one size; those of causal attention differ in where they start, too. */
function perSize<T>({ causal }: AttentionAttrs, make: (piece: Piece) => T): (piece: Piece) => T {
  const known = new Map<string, T>()
  return (piece) => {
    const key = [piece.heads, piece.rows, piece.keys, causal ? piece.query : 0].join()
    if (!known.has(key)) known.set(key, make(piece))
    return known.get(key)!
  }
}

const noScalars: readonly number[] = []

/** Attention as products and a kernel for some queries at a time. */
export function prepareAttention({ attrs, inputs, outputs }: Routine<'attention'>, compiler: StepCompiler): KernelRun {
  const [q, k, v, mask] = inputs as [Operand, Operand, Operand, Operand | undefined]
  const [y, logSums] = [outputs[0]!, column(outputs[1]!)]
  const type: Wide = q.dtype === 'float64' ? 'float64' : 'float32'
  const pieces = new Pieces(attrs, q, k, type)
  const [result, sums] = [inputs.length, inputs.length + 1]
  const programs = perSize(attrs, (piece) => {
    const scores = dense(type, [piece.heads, piece.rows, piece.keys])
    const of = (x: Operand, rows: number) => pieces.part(x, piece, rows)
    return {
      scores: compiler.product(product(of(q, piece.rows), turned(of(k, piece.keys)), scores)),
      weigh: compiler.kernel(weightsKernel(attrs, type, piece, mask && pieces.part(mask, piece, piece.rows, piece.keys))),
      result: compiler.product(product(scores, of(v, piece.keys), dense(y.dtype, [piece.heads, piece.rows, v.shape.at(-1)!]))),
    }
  })
  const ready = pieces.list.map((piece) => {
    const at = (x: Operand, row = 0) => pieces.offset(x, piece, row)
    const { query } = piece
    const programsOf = programs(piece)
    const offsets = { q: at(q, query), k: at(k), v: at(v), y: at(y, query), logSums: at(logSums, query), mask: mask ? at(mask, query) : 0 }
    return { ...programsOf, offsets }
  })
  const most = Math.max(...pieces.list.map((piece) => piece.heads * piece.rows * piece.keys))
  return withScratch(compiler.heap, [most * dtypeInfo[type].size], (p, [scores]) => {
    for (const { scores: multiply, weigh, result: attend, offsets: o } of ready) {
      multiply([p[0]! + o.q, p[1]! + o.k, scores!], noScalars)
      weigh([scores!, ...(mask ? [p[3]! + o.mask] : []), scores!, p[sums]! + o.logSums], noScalars)
      attend([scores!, p[2]! + o.v, p[result]! + o.y], noScalars)
    }
  })
}

/** The gradient of attention in the same way. */
export function prepareAttentionGrad({ attrs, inputs, outputs }: Routine<'attentionGrad'>, compiler: StepCompiler): KernelRun {
  const [g, q, k, v, y, sums, mask] = inputs as [Operand, Operand, Operand, Operand, Operand, Operand, Operand | undefined]
  const logSums = column(sums)
  const [forQueries, forKeys, forValues] = outputs as [Operand, Operand, Operand]
  const type: Wide = q.dtype === 'float64' ? 'float64' : 'float32'
  const pieces = new Pieces(attrs, q, k, type)
  const { keys } = pieces
  const first = inputs.length
  if (pieces.list.length === 0) {
    // Nobody attends.
    return (p) => outputs.forEach((x, o) => compiler.heap.u8.fill(0, p[first + o]!, p[first + o]! + bytesOf(x)))
  }
  // Each piece has keys and values of its own; else they collect what several pieces find.
  const apart = pieces.list.every((piece) => piece.rows === pieces.queries && piece.keys === keys)
  const programs = perSize(attrs, (piece) => {
    const scores = dense(type, [piece.heads, piece.rows, piece.keys])
    const of = (x: Operand, rows: number) => pieces.part(x, piece, rows)
    const [above, queries, result] = [of(g, piece.rows), of(q, piece.rows), of(y, piece.rows)]
    const collect = (b: Operand, to: DType) => {
      const whole = product(turned(scores), b, dense(apart ? to : type, [piece.heads, piece.keys, b.shape[2]!]))
      return compiler.product(apart ? whole : adding(whole))
    }
    return {
      scores: compiler.product(product(queries, turned(of(k, piece.keys)), scores)),
      slopes: compiler.product(product(above, turned(of(v, piece.keys)), scores)),
      common: compiler.kernel(commonKernel(type, above, result)),
      weigh: compiler.kernel(
        slopesKernel(
          attrs,
          type,
          piece,
          mask && pieces.part(mask, piece, piece.rows, piece.keys),
          pieces.part(logSums, piece, piece.rows, 1),
        ),
      ),
      forQueries: compiler.product(product(scores, of(k, piece.keys), dense(forQueries.dtype, [piece.heads, piece.rows, q.shape.at(-1)!]))),
      forKeys: collect(queries, forKeys.dtype),
      forValues: collect(above, forValues.dtype),
    }
  })
  const ready = pieces.list.map((piece) => {
    const at = (x: Operand, row = 0) => pieces.offset(x, piece, row)
    const { query } = piece
    const offsets = {
      above: at(g, query),
      q: at(q, query),
      k: at(k),
      v: at(v),
      y: at(y, query),
      logSums: at(logSums, query),
      mask: mask ? at(mask, query) : 0,
      forQueries: at(forQueries, query),
      forKeys: at(forKeys),
      forValues: at(forValues),
    }
    const isLast = query + piece.rows === pieces.queries
    return { ...programs(piece), offsets, isFirst: query === 0, isLast }
  })
  const heads = Math.max(...pieces.list.map((piece) => piece.heads))
  const rows = Math.max(...pieces.list.map((piece) => piece.heads * piece.rows))
  const scoreBytes = Math.max(...pieces.list.map((piece) => piece.heads * piece.rows * piece.keys)) * dtypeInfo[type].size
  const sumOf = (x: Operand) => dense(type, [heads, keys, x.shape.at(-1)!])
  const [keySums, valueSums] = [sumOf(k), sumOf(v)]
  const finish = apart
    ? undefined
    : { keys: compiler.kernel(castKernel(keySums, forKeys.dtype)), values: compiler.kernel(castKernel(valueSums, forValues.dtype)) }
  const sumBytes = [keySums, valueSums].map((x) => (apart ? 0 : bytesOf(x)))
  return withScratch(compiler.heap, [scoreBytes, scoreBytes, rows * dtypeInfo[type].size, ...sumBytes], (p, scratch) => {
    const [weights, slopes, common, ofKeys, ofValues] = scratch as [number, number, number, number, number]
    for (const piece of ready) {
      const { offsets: o } = piece
      const [above, queries, keysAt, valuesAt] = [p[0]! + o.above, p[1]! + o.q, p[2]! + o.k, p[3]! + o.v]
      piece.scores([queries, keysAt, weights], noScalars)
      piece.slopes([above, valuesAt, slopes], noScalars)
      piece.common([above, p[4]! + o.y, common], noScalars)
      const read = [weights, ...(mask ? [p[6]! + o.mask] : []), slopes, p[5]! + o.logSums, common]
      piece.weigh([...read, weights, slopes], noScalars)
      piece.forQueries([slopes, keysAt, p[first]! + o.forQueries], noScalars)
      const [toKeys, toValues] = [p[first + 1]! + o.forKeys, p[first + 2]! + o.forValues]
      if (!finish) {
        piece.forKeys([slopes, queries, toKeys], noScalars)
        piece.forValues([weights, above, toValues], noScalars)
        continue
      }
      if (piece.isFirst) {
        compiler.heap.u8.fill(0, ofKeys, ofKeys + sumBytes[0]!)
        compiler.heap.u8.fill(0, ofValues, ofValues + sumBytes[1]!)
      }
      piece.forKeys([slopes, queries, ofKeys, ofKeys], noScalars)
      piece.forValues([weights, above, ofValues, ofValues], noScalars)
      if (!piece.isLast) continue
      finish.keys([ofKeys, toKeys], noScalars)
      finish.values([ofValues, toValues], noScalars)
    }
  })
}
