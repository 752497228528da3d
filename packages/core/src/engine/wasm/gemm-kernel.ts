import type { FunctionBuilder, Local } from './function-builder.ts'
import { assign, define, type I32, loopWhile, push, when } from './i32-expression.ts'
import { addVector, assignVector, clearVectors, type Lanes, loaded, multiplyAdd } from './lanes.ts'
import { NamedFunction } from './named-function.ts'
import type { ProductModule } from './product-module.ts'

/** Rows of the register tile. Its width is two vectors: 4x8 for 32-bit elements, the largest tile that V8 does not spill. */
export const TILE_ROWS = 4
const TILE_VECTORS = 2

export const tileColumns = (lanes: Lanes): number => TILE_VECTORS * lanes.count

/** Rows of a panel of finished sums that are kept for the epilogue: as many as stay in the first-level cache. */
const STASH_ROWS = 128
const STASH_AT = 256

/** Scratch bytes that the tile function needs: for a tile on the matrix's edge, and for what the epilogue takes. */
export const TILE_SCRATCH = STASH_AT + STASH_ROWS * TILE_VECTORS * 16

/** A vector that is added to every row of a result; `biasColumn` is the size of an element, or zero. Bytes. */
export interface Bias {
  readonly bias: Local<'i32'>
  readonly biasColumn: Local<'i32'>
}

/** The parameters of a function that may add a bias. */
export const biasParams = (wanted: boolean): readonly (keyof Bias)[] => (wanted ? ['bias', 'biasColumn'] : [])

/** Adds the bias from `column` (counted in elements) on to vectors of as many rows. */
export function addBias(f: FunctionBuilder, lanes: Lanes, { bias, biasColumn }: Bias, column: I32, values: readonly Local<'v128'>[]): void {
  const vector = f.local('v128')
  const at = define(f, ['+', bias, ['*', biasColumn, column]])
  f.get(biasColumn)
  f.if(
    () => {
      f.get(at)
      f.mem('v128.load')
    },
    () => {
      f.get(at)
      f.mem(lanes.loadSplat)
    },
    'v128',
  )
  f.set(vector)
  for (const value of values) addVector(f, lanes, value, vector)
  f.release(at, vector)
}

type TileParam = 'a' | 'aRow' | 'aK' | 'b' | 'bPanel' | 'bK' | 'c' | 'cRow' | 'rows' | 'columns' | 'k' | 'accumulate' | 'last' | 'tile'
const tileParams: readonly TileParam[] = [
  'a',
  'aRow',
  'aK',
  'b',
  'bPanel',
  'bK',
  'c',
  'cRow',
  'rows',
  'columns',
  'k',
  'accumulate',
  'last',
  'tile',
]

/** Where an epilogue's block lies, and bytes from a row's start to the first column. */
type Place = 'epilogue' | 'outColumn'
const placeParams = (finish: unknown): readonly Place[] => (finish ? ['epilogue', 'outColumn'] : [])

/** What multiplies blocks: see `emitTiles`. */
type Tiles = NamedFunction<TileParam, keyof Bias | Place>

/**
 * Emits the function that multiplies a block of A by a block of B, tile by tile. Strides in bytes. B is read as panels of a
 * tile's width, `bPanel` bytes apart, whose rows are `bK` apart, so plain row-major B is a case of it. With `accumulate` the
 * products are added to C; with `last` bias and epilogue (see `emitFinish`) follow. `tile` points at scratch memory.
 *
 * `packed`: A and B lie in panels made by `emitPack`; `aRow` is then the distance between panels and `aK`, `bK` are unused.
 * Otherwise A has any strides.
 */
export function emitTiles(module: ProductModule, withBias: boolean, packed: boolean): Tiles {
  const { m, lanes, storeLanes, epilogue, context, finish } = module
  const name = packed ? 'tilesPacked' : 'tilesDirect'
  const tiles: Tiles = new NamedFunction(m, name, [...tileParams, ...biasParams(withBias), ...placeParams(finish)])
  const { f, params } = tiles
  const { a, aRow, aK, b, bPanel, bK, c, cRow, rows, columns, k, accumulate, last, tile } = params
  const bias = withBias ? params : undefined
  const place = finish && params
  /** Finished sums of a panel: where the next row goes, how many rows there are, and where in C the first one belongs. */
  const stash = finish && { start: f.local('i32'), next: f.local('i32'), rows: f.local('i32'), c: f.local('i32') }

  /** Where an epilogue goes over whole tiles in registers; others, and tiles on the edge, are left to `finish`. */
  const inline = epilogue?.isShort && place ? epilogue.code(f, lanes, context, place.epilogue) : undefined

  const width = tileColumns(lanes)
  const sums = Array.from({ length: TILE_ROWS }, () => f.locals('v128', TILE_VECTORS))
  const bVectors = f.locals('v128', TILE_VECTORS)
  const aVector = f.local('v128')
  const pointers = f.locals('i32', TILE_ROWS)
  const bPointer = f.local('i32')
  const kLeft = f.local('i32')
  const rowsLeft = f.local('i32')
  const aTile = f.local('i32')
  const cTile = f.local('i32')

  /** One step of k: `aAt(r)` pushes an address and returns the offset of A's element in row r. */
  const step = (vectors: number, aAt: (row: number) => number) => {
    for (let v = 0; v < vectors; v++) assignVector(f, bVectors[v]!, loaded(f, bPointer, 16 * v))
    for (let r = 0; r < TILE_ROWS; r++) {
      const offset = aAt(r)
      f.mem(lanes.loadSplat, offset)
      f.set(aVector)
      for (let v = 0; v < vectors; v++) multiplyAdd(f, lanes, sums[r]![v]!, aVector, bVectors[v]!)
    }
  }

  /** Runs `body` for each k. Unrolling it makes V8 schedule the loads early and spill: half the speed. */
  const eachK = (body: () => void) => {
    loopWhile(f, ['>', kLeft, 0], () => {
      body()
      f.increment(kLeft, -1)
    })
  }

  const multiplyPacked = (vectors: number) => {
    eachK(() => {
      step(vectors, (r) => {
        f.get(pointers[0]!)
        return r * lanes.size
      })
      f.increment(pointers[0]!, TILE_ROWS * lanes.size)
      f.increment(bPointer, width * lanes.size)
    })
  }

  const multiplyDirect = (vectors: number) => {
    eachK(() => {
      step(vectors, (r) => {
        f.get(pointers[r]!)
        return 0
      })
      for (const pointer of pointers) assign(f, pointer, ['+', pointer, aK])
      assign(f, bPointer, ['+', bPointer, bK])
    })
  }

  const multiply = packed ? multiplyPacked : multiplyDirect

  const eachSum = (body: (sum: Local<'v128'>, r: number, v: number) => void) => {
    for (let r = 0; r < TILE_ROWS; r++) for (let v = 0; v < TILE_VECTORS; v++) body(sums[r]![v]!, r, v)
  }

  const storeWhole = () => {
    const cRows = [cTile, ...pointers.slice(1)]
    for (let r = 1; r < TILE_ROWS; r++) assign(f, cRows[r]!, ['+', cRows[r - 1]!, cRow])
    when(f, accumulate, () => eachSum((sum, r, v) => addVector(f, lanes, sum, loaded(f, cRows[r]!, 16 * v))))
    if (bias) {
      when(f, last, () => {
        for (let v = 0; v < TILE_VECTORS; v++) {
          const column = sums.map((row) => row[v]!)
          addBias(f, lanes, bias, v * lanes.count, column)
        }
      })
    }
    const store = () =>
      eachSum((sum, r, v) => {
        f.get(cRows[r]!)
        f.get(sum)
        f.mem('v128.store', 16 * v)
      })
    if (inline && place) {
      const finishRow = (row: readonly Local<'v128'>[], r: number) =>
        inline.apply(row, { to: cRows[r]!, column: place.outColumn }, (offset) => f.mem('v128.store', offset))
      when(f, last, () => sums.forEach(finishRow), store)
      return
    }
    if (stash) {
      cRows[0] = pointers[0]!
      assign(f, cRows[0], cTile)
      when(f, last, () => cRows.forEach((row, r) => assign(f, row, ['+', stash.next, r * width * lanes.size])))
    }
    store()
  }

  /** Tiles that reach over the edge go through memory, so that only what belongs to C is written. */
  const storeEdge = () => {
    eachSum((sum, r, v) => {
      f.get(tile)
      f.get(sum)
      f.mem('v128.store', (r * TILE_VECTORS + v) * 16)
    })
    const value = aVector
    const [r, rowEnd] = [pointers[1]!, define(f, ['min', rowsLeft, TILE_ROWS])]
    const [column, columnEnd] = [pointers[2]!, define(f, ['min', columns, width])]
    const at = pointers[3]!
    const inTile: I32 = ['*', ['+', ['*', r, width], column], lanes.size]
    assign(f, r, 0)
    f.for(r, rowEnd, 1, () => {
      assign(f, column, 0)
      f.for(column, columnEnd, lanes.count, () => {
        push(f, ['+', tile, inTile])
        f.mem('v128.load')
        f.set(value)
        assign(f, at, ['+', ['+', cTile, ['*', r, cRow]], ['*', column, lanes.size]])
        when(f, accumulate, () => addVector(f, lanes, value, loaded(f, at)))
        if (bias) when(f, last, () => addBias(f, lanes, bias, column, [value]))
        if (stash) when(f, last, () => assign(f, at, ['+', stash.next, inTile]))
        f.get(at)
        f.get(value)
        push(f, ['-', columnEnd, column])
        f.call(storeLanes)
      })
    })
    f.release(rowEnd, columnEnd)
  }

  /** Counts the tile's rows and, where there is no room for more or no more in the panel, applies the epilogue to all of them. */
  const stashTile = () => {
    if (!stash || !place) return
    when(f, last, () => {
      f.increment(stash.next, TILE_ROWS * width * lanes.size)
      assign(f, stash.rows, ['+', stash.rows, ['min', rowsLeft, TILE_ROWS]])
      when(f, inline ? 1 : ['|', ['<=', rowsLeft, TILE_ROWS], ['==', stash.rows, STASH_ROWS]], () => {
        finish!.call(f, {
          block: place.epilogue,
          source: stash.start,
          sourceRow: width * lanes.size,
          c: inline ? cTile : stash.c,
          cRow,
          column: place.outColumn,
          rows: stash.rows,
          columns: ['min', columns, width],
        })
        assign(f, stash.next, stash.start)
        assign(f, stash.rows, 0)
        assign(f, stash.c, ['+', cTile, ['*', cRow, TILE_ROWS]])
      })
    })
  }

  /** To where A and B begin for the tile. */
  const pointAtTile = () => {
    assign(f, pointers[0]!, aTile)
    if (!packed) {
      // Rows beyond the edge repeat the last one.
      for (let r = 1; r < TILE_ROWS; r++) assign(f, pointers[r]!, ['+', pointers[r - 1]!, ['*', aRow, ['>', rowsLeft, r]]])
    }
    assign(f, bPointer, b)
    assign(f, kLeft, k)
  }

  const multiplyTile = () => {
    clearVectors(f, lanes, sums.flat())
    pointAtTile()
    when(
      f,
      ['>', columns, lanes.count],
      () => multiply(TILE_VECTORS),
      () => multiply(1),
    )
  }

  const storeTile = () => {
    when(f, ['&', ['>=', rowsLeft, TILE_ROWS], ['>=', columns, width]], storeWhole, () => {
      storeEdge()
      if (inline) stashTile()
    })
    if (!inline) stashTile()
  }

  const eachTileOfPanel = (body: () => void) => {
    assign(f, rowsLeft, rows)
    assign(f, aTile, a)
    assign(f, cTile, c)
    if (stash) assign(f, stash.c, c)
    loopWhile(f, ['>', rowsLeft, 0], () => {
      body()
      f.increment(rowsLeft, -TILE_ROWS)
      assign(f, aTile, ['+', aTile, packed ? aRow : ['*', aRow, TILE_ROWS]])
      assign(f, cTile, ['+', cTile, ['*', cRow, TILE_ROWS]])
    })
  }

  const eachPanel = (body: () => void) => {
    loopWhile(f, ['>', columns, 0], () => {
      body()
      f.increment(columns, -width)
      assign(f, b, ['+', b, bPanel])
      f.increment(c, width * lanes.size)
      if (bias) assign(f, bias.bias, ['+', bias.bias, ['*', bias.biasColumn, width]])
      if (place) f.increment(place.outColumn, width * lanes.size)
    })
  }

  if (stash) {
    assign(f, stash.start, ['+', tile, STASH_AT])
    assign(f, stash.next, stash.start)
  }
  eachPanel(() =>
    eachTileOfPanel(() => {
      multiplyTile()
      storeTile()
    }),
  )
  return tiles
}
