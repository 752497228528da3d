import type { ModuleBuilder } from './assembler.ts'
import { decode } from './emit-scalar.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile, when } from './i32-expression.ts'
import { type Lanes, transpose } from './lanes.ts'
import { NamedFunction } from './named-function.ts'
import { type ModuleContext, VectorCode } from './vector-code.ts'

/** Dtypes that become float32 while they are packed. */
export type HalfType = 'bfloat16' | 'float16'

/** What is packed, where it is not of the lanes' own type. */
interface PackedHalf {
  readonly dtype: HalfType
  readonly context: ModuleContext
}

/** Bytes between panels of `width` rows and `k` columns; transposed writes may round k up to whole vectors. */
export function panelBytes(lanes: Lanes, width: number, k: number): number {
  return (k + lanes.count) * width * lanes.size
}

/** `panelBytes` as code. */
export function panelBytesCode(lanes: Lanes, width: number, k: I32): I32 {
  return ['*', ['+', k, lanes.count], width * lanes.size]
}

/** What of `emitPanels` depends on the elements. */
interface PanelCode {
  /** Copies where rows are neighbours in memory: whole vectors. */
  copy(): void
  /** Pushes a vector of elements of one row that are neighbours in memory, as they stand in panels. */
  load(pointer: Local<'i32'>): void
  /** Copies one row, which begins at `from`, to every panel width from `to` on. */
  gather(): void
  /** Runs behind each panel. */
  finish?(): void
}

/** What they work on: parameters of the function, and where to read and write. */
interface PanelPlace {
  readonly kStride: Local<'i32'>
  readonly destination: Local<'i32'>
  readonly k: Local<'i32'>
  readonly from: Local<'i32'>
  readonly to: Local<'i32'>
}

/** Copies a matrix into panels, `panel` bytes apart. Strides in bytes. */
export type Pack = NamedFunction<'source' | 'rowStride' | 'kStride' | 'destination' | 'panel' | 'rows' | 'k'>

/**
 * Emits `Pack` for panels of `width` rows, within which the elements of one k lie next to each other. Rows that are missing in the last panel hold
 * anything. Reads up to a vector beyond the operand; writes up to a vector's worth of k beyond a panel's last.
 * `perVector` elements of the operand, of `elementBytes` each, make a vector of a panel.
 */
export function emitPanels(
  m: ModuleBuilder,
  lanes: Lanes,
  width: number,
  { name, elementBytes, perVector }: { readonly name: string; readonly elementBytes: number; readonly perVector: number },
  codeOf: (f: FunctionBuilder, place: PanelPlace) => PanelCode,
): Pack {
  const pack: Pack = new NamedFunction(m, `pack${width}${name}`, ['source', 'rowStride', 'kStride', 'destination', 'panel', 'rows', 'k'])
  const { f, params } = pack
  const { source, rowStride, kStride, destination, panel, rows, k } = params
  const [from, to, left] = f.locals('i32', 3)
  const pointers = f.locals('i32', lanes.count)
  const squares = squareMover(f, lanes, width * lanes.size)
  const code = codeOf(f, { kStride, destination, k, from, to })
  /** A row that is missing is the last one again. */
  const rowAt = (row: number): I32 => ['+', source, ['*', rowStride, ['min', row, ['-', rows, 1]]]]

  const transposeSquares = () => {
    for (let row = 0; row < width; row += lanes.count) {
      pointers.forEach((pointer, i) => assign(f, pointer, rowAt(row + i)))
      assign(f, to, ['+', destination, row * lanes.size])
      assign(f, left, k)
      squares({ pointers, to, left, perVector, vectorBytes: perVector * elementBytes, load: code.load })
    }
  }
  const gather = () => {
    for (let row = 0; row < width; row++) {
      assign(f, from, rowAt(row))
      assign(f, to, ['+', destination, row * lanes.size])
      code.gather()
    }
  }

  loopWhile(f, ['>', rows, 0], () => {
    when(
      f,
      ['==', rowStride, elementBytes],
      () => {
        assign(f, from, source)
        assign(f, to, destination)
        code.copy()
      },
      () => {
        when(f, ['==', kStride, elementBytes], transposeSquares, gather)
      },
    )
    code.finish?.()
    assign(f, source, ['+', source, ['*', rowStride, width]])
    assign(f, destination, ['+', destination, panel])
    f.increment(rows, -width)
  })
  return pack
}

interface Squares {
  /** Where the rows are; moved on. */
  readonly pointers: readonly Local<'i32'>[]
  /** Where the first column goes; moved on. */
  readonly to: Local<'i32'>
  /** Elements of a row that are left: squares are moved while there are more than `atLeast`, default 0. */
  readonly left: Local<'i32'>
  readonly atLeast?: number
  /** Elements and bytes of a row that make a vector. */
  readonly perVector: number
  readonly vectorBytes: number
  /** Pushes a vector of a row. */
  load(pointer: Local<'i32'>): void
}

/** Code that moves rows into columns, `stepBytes` apart, by transposing squares. */
export function squareMover(f: FunctionBuilder, lanes: Lanes, stepBytes: number): (squares: Squares) => void {
  const square = f.locals('v128', lanes.count)
  const temporaries = f.locals('v128', lanes.count)
  return ({ pointers, to, left, atLeast = 0, perVector, vectorBytes, load }) =>
    loopWhile(f, ['>', left, atLeast], () => {
      pointers.forEach((pointer, i) => {
        load(pointer)
        f.set(square[i]!)
        f.increment(pointer, vectorBytes)
      })
      transpose(f, lanes, square, temporaries)
      square.forEach((column, i) => {
        f.get(to)
        f.get(column)
        f.mem('v128.store', i * stepBytes)
      })
      f.increment(to, lanes.count * stepBytes)
      f.increment(left, -perVector)
    })
}

/** Emits `Pack`, see `emitPanels`, for operands of the lanes' type or halves, which become float32. */
export function emitPack(m: ModuleBuilder, lanes: Lanes, width: number, half?: PackedHalf): Pack {
  const elementBytes = half ? 2 : lanes.size
  const stepBytes = width * lanes.size
  const options = { name: half?.dtype ?? '', elementBytes, perVector: lanes.count }
  return emitPanels(m, lanes, width, options, (f, { kStride, destination, k, from, to }) => {
    const code = half && new VectorCode(f, half.context)
    const end = f.local('i32')

    /** What is on the stack, once `load` has made a vector of bits of it, as numbers. */
    const widen = (load: () => void) => {
      load()
      const bits = f.local('v128')
      f.set(bits)
      code!.scope(() => decode(code!, half!.dtype, code!.read(bits))())
      f.release(bits)
    }
    const load = (pointer: Local<'i32'>, vector = 0) => {
      const offset = vector * elementBytes * lanes.count
      f.get(pointer)
      if (code) widen(() => f.mem('v128.load16x4_u', offset, { align: 0 }))
      else f.mem('v128.load', offset)
    }
    /** Runs `body` for each k of what begins at `start`. */
    const eachK = (start: Local<'i32'>, body: () => void) => {
      assign(f, end, ['+', start, ['*', k, stepBytes]])
      loopWhile(f, ['!=', to, end], () => {
        body()
        assign(f, from, ['+', from, kStride])
        f.increment(to, stepBytes)
      })
    }

    return {
      load,
      copy: () =>
        eachK(destination, () => {
          for (let v = 0; v < width / lanes.count; v++) {
            f.get(to)
            load(from, v)
            f.mem('v128.store', 16 * v)
          }
        }),
      gather: () =>
        eachK(to, () => {
          f.get(to)
          f.get(from)
          if (code) {
            widen(() => {
              f.mem('i32.load16_u')
              f.op('i32x4.splat')
            })
            f.memLane('v128.store32_lane', 0)
          } else {
            f.mem(lanes.loadScalar)
            f.mem(lanes.storeScalar)
          }
        }),
    }
  })
}

/** A copy of a strided vector; the stride is in bytes. */
type GatherVector = NamedFunction<'source' | 'stride' | 'destination' | 'count'>

export function emitGatherVector(m: ModuleBuilder, lanes: Lanes): GatherVector {
  const gather: GatherVector = new NamedFunction(m, 'gatherVector', ['source', 'stride', 'destination', 'count'])
  const { f, params } = gather
  const { source, stride, destination, count } = params
  const end = define(f, ['+', destination, ['*', count, lanes.size]])
  loopWhile(f, ['!=', destination, end], () => {
    f.get(destination)
    f.get(source)
    f.mem(lanes.loadScalar)
    f.mem(lanes.storeScalar)
    assign(f, source, ['+', source, stride])
    f.increment(destination, lanes.size)
  })
  return gather
}
