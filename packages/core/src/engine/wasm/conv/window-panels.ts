import type { ModuleBuilder } from '../assembler.ts'
import type { FunctionBuilder, Local } from '../function-builder.ts'
import { TILE_ROWS } from '../gemm-kernel.ts'
import { type ByteType, loadedPairs } from '../gemm-pack-bytes.ts'
import { squareMover } from '../gemm-pack.ts'
import { assign, define, type I32, loopWhile, push, when } from '../i32-expression.ts'
import { assignVector, type Lanes, loaded, pushVector } from '../lanes.ts'
import { NamedFunction } from '../named-function.ts'
import { RowWindows } from './row-windows.ts'
import { pushInside } from './window-position.ts'
import { tapWords, windowWords } from './window-words.ts'

const packParams = ['args', 'phase', 'source', 'zeros', 'destination', 'panel', 'row', 'rows', 'firstTap', 'firstChannel', 'count'] as const
type PackParam = (typeof packParams)[number]
type PackWindows = NamedFunction<PackParam>

/**
 * Emits what gathers panels, `panel` bytes apart, of `count` neighbouring (tap, channel) pairs of each row's window, from `firstTap`
 * (an address) and `firstChannel` on. What lies outside of the source reads as zero. Of bytes, what counts as a channel is a
 * pair of them.
 */
export function emitPackWindows(m: ModuleBuilder, lanes: Lanes, byte: ByteType | undefined): PackWindows {
  const pack: PackWindows = new NamedFunction(m, 'packWindows', packParams)
  const { f, params } = pack
  const { destination, panel, rows } = params
  const code = new PanelCode(f, lanes, params, byte)
  loopWhile(f, ['>', rows, 0], () => {
    code.copyPanel()
    assign(f, destination, ['+', destination, panel])
    f.increment(rows, -TILE_ROWS)
  })
  return pack
}

/** Code for one panel: the windows of as many rows as a tile has. */
class PanelCode {
  readonly #f: FunctionBuilder
  readonly #lanes: Lanes
  readonly #params: Readonly<Record<PackParam, Local<'i32'>>>
  readonly #byte: ByteType | undefined
  readonly #channels: Local<'i32'>
  readonly #windows: RowWindows
  /** Where the rows of the tap at hand are read. */
  readonly #pointers: readonly Local<'i32'>[]
  readonly #tap: Local<'i32'>
  readonly #channel: Local<'i32'>
  /** Pairs that are left, and how many of them are of the tap at hand. */
  readonly #left: Local<'i32'>
  readonly #segment: Local<'i32'>
  /** Where in the panel they go. */
  readonly #at: Local<'i32'>
  readonly #to: Local<'i32'>
  readonly #kLeft: Local<'i32'>
  readonly #squares: ReturnType<typeof squareMover>
  readonly #single: Local<'v128'>
  /** Of one pair of all rows. */
  readonly #stepBytes: number
  /** Of an element in the source. */
  readonly #elementBytes: number

  constructor(f: FunctionBuilder, lanes: Lanes, params: Readonly<Record<PackParam, Local<'i32'>>>, byte: ByteType | undefined) {
    this.#f = f
    this.#lanes = lanes
    this.#params = params
    this.#byte = byte
    this.#channels = define(f, windowWords.load(params.args, 'channels'))
    this.#windows = new RowWindows(f, params)
    this.#pointers = f.locals('i32', TILE_ROWS)
    this.#tap = f.local('i32')
    this.#channel = f.local('i32')
    this.#left = f.local('i32')
    this.#segment = f.local('i32')
    this.#at = f.local('i32')
    this.#to = f.local('i32')
    this.#kLeft = f.local('i32')
    this.#stepBytes = TILE_ROWS * lanes.size
    this.#squares = squareMover(f, lanes, this.#stepBytes)
    this.#single = f.local('v128')
    this.#elementBytes = byte ? 2 : lanes.size
  }

  /** Moves on to the next rows and gathers their windows. */
  copyPanel(): void {
    const f = this.#f
    const { firstTap, firstChannel } = this.#params
    this.#windows.take()
    assign(f, this.#tap, firstTap)
    assign(f, this.#channel, firstChannel)
    if (this.#byte) this.#copyWindows()
    else this.#copyPlaneOrWindows()
  }

  /** Windows of one channel each that are neighbours take a vector a tap; others are turned around, square by square. */
  #copyPlaneOrWindows(): void {
    const f = this.#f
    this.#pushNeighbours()
    push(f, ['==', this.#channels, 1])
    f.op('i32.and')
    f.if(
      () => this.#copyPlane((from) => this.#copyInterior(from)),
      () => {
        if (this.#lanes.count < TILE_ROWS) this.#copyWindows()
        else
          when(
            f,
            this.#areOneLine(),
            () => this.#copyPlane((from) => this.#copyEdge(from)),
            () => this.#copyWindows(),
          )
      },
    )
  }

  /** Pushes whether the windows lie inside and next to each other. */
  #pushNeighbours(): void {
    const { bases, interior } = this.#windows
    const pairs = bases.slice(1).map((base, i): I32 => ['==', ['-', base, bases[i]!], this.#lanes.size])
    push(
      this.#f,
      pairs.reduce((all, pair): I32 => ['&', all, pair], interior),
    )
  }

  /** Whether the windows have one channel and are neighbours in one line, which may begin or end outside of the source. */
  #areOneLine(): I32 {
    const { args } = this.#params
    const last = TILE_ROWS - 1
    const { positions } = this.#windows
    const oneLine: I32 = ['&', ['==', windowWords.load(args, 'stepW'), 1], ['==', ['-', positions[last]![2], positions[0]![2]], last]]
    const dense: I32 = ['==', windowWords.load(args, 'sourceW'), this.#lanes.size]
    return ['&', ['&', oneLine, dense], ['==', this.#channels, 1]]
  }

  /** Tap by tap, as many channels as there are and are asked for. */
  #copyWindows(): void {
    const f = this.#f
    const { count, destination } = this.#params
    assign(f, this.#left, count)
    assign(f, this.#at, destination)
    loopWhile(f, ['>', this.#left, 0], () => {
      assign(f, this.#segment, ['min', this.#left, ['-', this.#channels, this.#channel]])
      this.#pointAtTap()
      for (let group = 0; group < TILE_ROWS / this.#lanes.count; group++) this.#copyRows(group)
      assign(f, this.#at, ['+', this.#at, ['*', this.#segment, this.#stepBytes]])
      assign(f, this.#left, ['-', this.#left, this.#segment])
      assign(f, this.#channel, 0)
      f.increment(this.#tap, 4 * tapWords.count)
    })
  }

  /** To where each row is read; to zeros where the tap is outside of the source. */
  #pointAtTap(): void {
    const f = this.#f
    const { args, zeros } = this.#params
    const { bases, positions, interior } = this.#windows
    const delta = define(f, ['+', tapWords.load(this.#tap, 'delta'), ['*', this.#channel, this.#elementBytes]])
    this.#pointers.forEach((pointer, i) => assign(f, pointer, ['+', bases[i]!, delta]))
    f.release(delta)
    f.get(interior)
    f.op('i32.eqz')
    f.if(() =>
      positions.forEach((position, i) => {
        f.get(this.#pointers[i]!)
        f.get(zeros)
        pushInside(f, args, position, this.#tap)
        f.select()
        f.set(this.#pointers[i]!)
      }),
    )
  }

  /** `segment` channels of `lanes.count` rows. */
  #copyRows(group: number): void {
    const f = this.#f
    const byte = this.#byte
    const { count } = this.#lanes
    const pointers = this.#pointers.slice(group * count, (group + 1) * count)
    assign(f, this.#to, ['+', this.#at, group * 16])
    assign(f, this.#kLeft, this.#segment)
    this.#squares({
      pointers,
      to: this.#to,
      left: this.#kLeft,
      atLeast: byte ? 0 : 1,
      perVector: count,
      vectorBytes: count * this.#elementBytes,
      load: (pointer) => pushVector(f, byte ? loadedPairs(f, byte, pointer) : loaded(f, pointer)),
    })
    if (!byte) when(f, ['==', this.#kLeft, 1], () => this.#copySingle(pointers))
  }

  /** The last channel, if it is alone. */
  #copySingle([first, ...others]: readonly Local<'i32'>[]): void {
    const f = this.#f
    const { loadSplat, loadLane } = this.#lanes
    assignVector(f, this.#single, loaded(f, first!, 0, loadSplat))
    for (const [i, pointer] of others.entries()) {
      f.get(pointer)
      f.get(this.#single)
      f.memLane(loadLane, i + 1)
      f.set(this.#single)
    }
    f.get(this.#to)
    f.get(this.#single)
    f.mem('v128.store')
  }

  /** Windows of one channel each that lie next to each other: a vector for each tap. */
  #copyPlane(copyTap: (from: Local<'i32'>) => void): void {
    const f = this.#f
    const { count, destination } = this.#params
    const end = define(f, ['+', this.#tap, ['*', count, 4 * tapWords.count]])
    assign(f, this.#to, destination)
    loopWhile(f, ['!=', this.#tap, end], () => {
      const from = define(f, ['+', this.#windows.bases[0]!, tapWords.load(this.#tap, 'delta')])
      copyTap(from)
      f.release(from)
      f.increment(this.#to, this.#stepBytes)
      f.increment(this.#tap, 4 * tapWords.count)
    })
    f.release(end)
  }

  #copyInterior(from: Local<'i32'>): void {
    const f = this.#f
    for (let group = 0; group < TILE_ROWS / this.#lanes.count; group++) {
      f.get(this.#to)
      f.get(from)
      f.mem('v128.load', 16 * group)
      f.mem('v128.store', 16 * group)
    }
  }

  /** At an edge, of windows in one line: a lane is zero where its pixel is outside. For four lanes. */
  #copyEdge(from: Local<'i32'>): void {
    const f = this.#f
    const { args, zeros } = this.#params
    const [d, h, w] = this.#windows.positions[0]!
    const column = define(f, ['+', w, tapWords.load(this.#tap, 'w')])
    const width = windowWords.load(args, 'width')
    f.get(this.#to)
    // What is read begins or ends inside.
    f.get(from)
    f.get(zeros)
    push(f, ['<u', ['+', column, TILE_ROWS - 1], ['+', width, TILE_ROWS - 1]])
    push(f, ['<u', ['+', d, tapWords.load(this.#tap, 'd')], windowWords.load(args, 'depth')])
    push(f, ['<u', ['+', h, tapWords.load(this.#tap, 'h')], windowWords.load(args, 'height')])
    f.op('i32.and')
    f.op('i32.and')
    f.select()
    f.mem('v128.load')
    this.#pushColumnsInside(column, width)
    f.op('v128.and')
    f.mem('v128.store')
    f.release(column)
  }

  /** Pushes the mask of those of four columns from `column` on that exist. */
  #pushColumnsInside(column: Local<'i32'>, width: I32): void {
    const f = this.#f
    f.get(column)
    f.op('i32x4.splat')
    f.get(f.constantOf([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))
    f.op('i32x4.add')
    push(f, width)
    f.op('i32x4.splat')
    f.op('i32x4.lt_u')
  }
}
