import type { ModuleBuilder } from '../assembler.ts'
import type { Local } from '../function-builder.ts'
import { TILE_ROWS } from '../gemm-kernel.ts'
import { type ByteType, loadPairs } from '../gemm-pack-bytes.ts'
import { squareMover } from '../gemm-pack.ts'
import { assign, define, type I32, loopWhile, push, when } from '../i32-expression.ts'
import type { Lanes } from '../lanes.ts'
import { NamedFunction } from '../named-function.ts'
import { RowWindows } from './row-windows.ts'
import { pushInside } from './window-position.ts'
import { tapWords, windowWords } from './window-words.ts'

const packParams = ['args', 'phase', 'source', 'zeros', 'destination', 'panel', 'row', 'rows', 'firstTap', 'firstChannel', 'count'] as const
type PackWindows = NamedFunction<(typeof packParams)[number]>

/**
 * Emits what gathers panels, `panel` bytes apart, of `count` neighbouring (tap, channel) pairs of each row's window, from `firstTap`
 * (an address) and `firstChannel` on. What lies outside of the source reads as zero. Of bytes, what counts as a channel is a
 * pair of them.
 */
export function emitPackWindows(m: ModuleBuilder, lanes: Lanes, byte: ByteType | undefined): PackWindows {
  const pack: PackWindows = new NamedFunction(m, 'packWindows', packParams)
  const { f, params } = pack
  const { args, zeros, destination, panel, rows, firstTap, firstChannel, count } = params
  const channels = define(f, windowWords.load(args, 'channels'))
  const windows = new RowWindows(f, params)
  const { bases, positions } = windows
  const pointers = f.locals('i32', TILE_ROWS)
  const [tap, channel, left, segment, at, to, kLeft] = f.locals('i32', 7)
  const stepBytes = TILE_ROWS * lanes.size
  const squares = squareMover(f, lanes, stepBytes)
  const single = f.local('v128')
  /** Of an element in the source. */
  const elementBytes = byte ? 2 : lanes.size

  /** `segment` channels of `lanes.count` rows. */
  const copyRows = (group: number) => {
    const sources = pointers.slice(group * lanes.count, (group + 1) * lanes.count)
    assign(f, to, ['+', at, group * 16])
    assign(f, kLeft, segment)
    squares({
      pointers: sources,
      to,
      left: kLeft,
      atLeast: byte ? 0 : 1,
      perVector: lanes.count,
      vectorBytes: lanes.count * elementBytes,
      load(pointer) {
        f.get(pointer)
        if (byte) f.mem(loadPairs(byte), 0, { align: 0 })
        else f.mem('v128.load')
      },
    })
    if (byte) return
    when(f, ['==', kLeft, 1], () => {
      f.get(sources[0]!)
      f.mem(lanes.loadSplat)
      f.set(single)
      for (let i = 1; i < lanes.count; i++) {
        f.get(sources[i]!)
        f.get(single)
        f.memLane(lanes.loadLane, i)
        f.set(single)
      }
      f.get(to)
      f.get(single)
      f.mem('v128.store')
    })
  }

  const copyWindows = () => {
    assign(f, left, count)
    assign(f, at, destination)
    loopWhile(f, ['>', left, 0], () => {
      assign(f, segment, ['min', left, ['-', channels, channel]])
      const delta = define(f, ['+', tapWords.load(tap, 'delta'), ['*', channel, elementBytes]])
      pointers.forEach((pointer, i) => assign(f, pointer, ['+', bases[i]!, delta]))
      f.release(delta)
      f.get(windows.interior)
      f.op('i32.eqz')
      f.if(() =>
        positions.forEach((position, i) => {
          f.get(pointers[i]!)
          f.get(zeros)
          pushInside(f, args, position, tap)
          f.select()
          f.set(pointers[i]!)
        }),
      )
      for (let group = 0; group < TILE_ROWS / lanes.count; group++) copyRows(group)
      assign(f, at, ['+', at, ['*', segment, stepBytes]])
      assign(f, left, ['-', left, segment])
      assign(f, channel, 0)
      f.increment(tap, 4 * tapWords.count)
    })
  }

  /** Windows of one channel each that lie next to each other: a vector for each tap. */
  const copyPlane = (copyTap: (from: Local<'i32'>) => void) => {
    const end = define(f, ['+', tap, ['*', count, 4 * tapWords.count]])
    assign(f, to, destination)
    loopWhile(f, ['!=', tap, end], () => {
      const from = define(f, ['+', bases[0]!, tapWords.load(tap, 'delta')])
      copyTap(from)
      f.release(from)
      f.increment(to, stepBytes)
      f.increment(tap, 4 * tapWords.count)
    })
    f.release(end)
  }
  const copyInterior = (from: Local<'i32'>) => {
    for (let group = 0; group < TILE_ROWS / lanes.count; group++) {
      f.get(to)
      f.get(from)
      f.mem('v128.load', 16 * group)
      f.mem('v128.store', 16 * group)
    }
  }
  /** At an edge, of windows in one line: a lane is zero where its pixel is outside. For four lanes. */
  const copyEdge = (from: Local<'i32'>) => {
    const [d, h, w] = positions[0]!
    const column = define(f, ['+', w, tapWords.load(tap, 'w')])
    f.get(to)
    // What is read begins or ends inside.
    f.get(from)
    f.get(zeros)
    push(f, ['<u', ['+', column, TILE_ROWS - 1], ['+', windowWords.load(args, 'width'), TILE_ROWS - 1]])
    push(f, ['<u', ['+', d, tapWords.load(tap, 'd')], windowWords.load(args, 'depth')])
    push(f, ['<u', ['+', h, tapWords.load(tap, 'h')], windowWords.load(args, 'height')])
    f.op('i32.and')
    f.op('i32.and')
    f.select()
    f.mem('v128.load')
    f.get(column)
    f.op('i32x4.splat')
    f.get(f.constantOf([0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0]))
    f.op('i32x4.add')
    push(f, windowWords.load(args, 'width'))
    f.op('i32x4.splat')
    f.op('i32x4.lt_u')
    f.op('v128.and')
    f.mem('v128.store')
    f.release(column)
  }

  /** Whether the windows lie inside and next to each other. */
  const pushNeighbours = () => {
    const pairs = bases.slice(1).map((base, i): I32 => ['==', ['-', base, bases[i]!], lanes.size])
    push(
      f,
      pairs.reduce((all, pair): I32 => ['&', all, pair], windows.interior),
    )
  }

  const copyRowsOrPlane = () => {
    pushNeighbours()
    push(f, ['==', channels, 1])
    f.op('i32.and')
    f.if(
      () => copyPlane(copyInterior),
      () => {
        if (lanes.count < TILE_ROWS) return copyWindows()
        const last = TILE_ROWS - 1
        const oneLine: I32 = ['&', ['==', windowWords.load(args, 'stepW'), 1], ['==', ['-', positions[last]![2], positions[0]![2]], last]]
        when(
          f,
          ['&', ['&', oneLine, ['==', windowWords.load(args, 'sourceW'), lanes.size]], ['==', channels, 1]],
          () => copyPlane(copyEdge),
          copyWindows,
        )
      },
    )
  }

  loopWhile(f, ['>', rows, 0], () => {
    windows.take()
    assign(f, tap, firstTap)
    assign(f, channel, firstChannel)
    if (byte) copyWindows()
    else copyRowsOrPlane()
    assign(f, destination, ['+', destination, panel])
    f.increment(rows, -TILE_ROWS)
  })
  return pack
}
