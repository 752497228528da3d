import type { Local } from '../function-builder.ts'
import { type Block, blockedProduct, eachTaskBlock, taskBlock } from '../gemm-blocks.ts'
import { emitTiles, tileColumns } from '../gemm-kernel.ts'
import { emitPackBytes } from '../gemm-pack-bytes.ts'
import { emitPack } from '../gemm-pack.ts'
import { assign, define, type I32, loopWhile, push } from '../i32-expression.ts'
import { type ProductOptions, startProduct } from '../product-module.ts'
import { routineFunction } from '../routine-entry.ts'
import { emitPackWindows } from './window-panels.ts'
import { decodeRow } from './window-position.ts'
import { phaseWords, tapWords, windowWords } from './window-words.ts'

/**
 * Emits the module of products of windows with weights: the convolution and its gradient with respect to the input, by
 * `planConv` and `planConvGradInput`. It is an implicit matrix product: the panels of A are gathered from the windows, so the
 * unfolded input is never in memory as a whole.
 */
export function emitConvWindows(options: ProductOptions): Uint8Array<ArrayBuffer> {
  const module = startProduct(options)
  const { m, lanes, finish } = module
  const { bias: withBias = false, bytes } = options
  const tiles = emitTiles(module, withBias, true)
  const width = tileColumns(lanes)
  const packWeights = bytes ? emitPackBytes(m, lanes, width, bytes.b) : emitPack(m, lanes, width)
  const packWindows = emitPackWindows(m, lanes, bytes?.a)

  const { f, begin, end, args, scratch } = routineFunction(m)
  const word = windowWords.from(args)
  const channels = define(f, word('channels'))
  const tasks = taskBlock(f)
  const { row, rows, column, columns } = tasks
  const zeros = define(f, ['+', scratch, word('zeros')])
  const packedB = define(f, ['+', scratch, word('packedB')])
  const packedA = define(f, ['+', scratch, word('packedA')])
  const [source, weights, output, phase, group, k] = f.locals('i32', 6)
  const bias = withBias ? { bias: f.local('i32'), biasColumn: define(f, word('biasColumn')) } : undefined
  const place = finish && { epilogue: define(f, ['+', args, word('epilogue')]), outColumn: f.local('i32') }

  f.get(zeros)
  f.i32(0)
  push(f, ['+', ['*', channels, lanes.size], 16])
  f.memoryFill()

  /** A chunk ends where the distance between outputs changes. */
  const pushRowCount = (block: Block) => {
    const line = phaseWords.load(phase, 'line')
    push(f, ['min', ['min', word('rowChunk'), ['-', rows, block.row]], ['-', line, ['%', ['+', row, block.row], line]]])
  }

  /** Address of the phase's tap of this number. */
  const tapAt = (tap: Local<'i32'>): I32 => ['+', ['+', args, phaseWords.load(phase, 'taps')], ['*', tap, 4 * tapWords.count]]

  /** The weights of the block's (tap, channel) pairs, tap by tap. */
  const packBlockOfWeights = ({ kStart, kCount, bPanel }: Block) => {
    const tap = define(f, ['/', kStart, channels])
    const channel = define(f, ['-', kStart, ['*', tap, channels]])
    const left = define(f, kCount)
    const to = define(f, packedB)
    const segment = f.local('i32')
    assign(f, tap, tapAt(tap))
    loopWhile(f, ['>', left, 0], () => {
      assign(f, segment, ['min', left, ['-', channels, channel]])
      const from: I32 = bytes ? ['*', channel, 2] : channel
      packWeights.call(f, {
        source: ['+', ['+', weights, tapWords.load(tap, 'weights')], ['*', from, word('weightChannel')]],
        rowStride: word('weightColumn'),
        kStride: word('weightChannel'),
        destination: to,
        panel: bPanel,
        rows: columns,
        k: bytes ? ['min', ['*', segment, 2], ['-', word('bytes'), from]] : segment,
      })
      assign(f, to, ['+', to, ['*', segment, width * lanes.size]])
      assign(f, left, ['-', left, segment])
      assign(f, channel, 0)
      f.increment(tap, 4 * tapWords.count)
    })
    f.release(tap, channel, left, to, segment)
  }

  /** Gathers the windows of a chunk's rows, from row number `first` of the phase on. */
  const packChunkOfWindows = (first: Local<'i32'>, tap: Local<'i32'>, { kStart, kCount, rowCount, aPanel }: Block) => {
    packWindows.call(f, {
      args,
      phase,
      source,
      zeros,
      destination: packedA,
      panel: aPanel,
      row: first,
      rows: rowCount,
      firstTap: tapAt(tap),
      firstChannel: ['-', kStart, ['*', tap, channels]],
      count: kCount,
    })
  }

  /** Where the output at a position of the phase lies. */
  const outputAt = (batch: Local<'i32'>, [d, h, w]: readonly Local<'i32'>[]): I32 => [
    '+',
    ['+', output, ['+', ['*', batch, phaseWords.load(phase, 'outputN')], ['*', d!, phaseWords.load(phase, 'outputD')]]],
    ['+', ['*', h!, phaseWords.load(phase, 'outputH')], ['*', w!, phaseWords.load(phase, 'outputW')]],
  ]

  const multiplyChunk = (block: Block) => {
    const tap = define(f, ['/', block.kStart, channels])
    const first = define(f, ['+', row, block.row])
    packChunkOfWindows(first, tap, block)
    const position = [f.local('i32'), f.local('i32'), f.local('i32')] as const
    const batch = define(f, first)
    decodeRow(f, phase, batch, position)
    tiles.call(f, {
      a: packedA,
      aRow: block.aPanel,
      aK: 0,
      b: packedB,
      bPanel: block.bPanel,
      bK: 0,
      c: outputAt(batch, position),
      cRow: phaseWords.load(phase, 'outputW'),
      rows: block.rowCount,
      columns,
      k: block.kCount,
      accumulate: block.accumulate,
      last: block.last,
      tile: scratch,
      ...bias,
      ...place,
    })
    f.release(tap, first, ...position, batch)
  }

  eachTaskBlock(f, {
    begin,
    end,
    block: tasks,
    word,
    sizes(matrix) {
      assign(f, group, ['%', matrix, word('groups')])
      assign(f, matrix, ['/', matrix, word('groups')])
      assign(f, phase, ['+', ['+', args, 4 * windowWords.count], ['*', matrix, 4 * phaseWords.count]])
      return [phaseWords.load(phase, 'rows'), word('columns')]
    },
    body() {
      assign(f, k, ['*', channels, phaseWords.load(phase, 'tapCount')])
      assign(f, source, ['+', word('source'), ['*', group, word('sourceGroup')]])
      assign(f, weights, ['+', ['+', word('weights'), ['*', group, word('weightGroup')]], ['*', column, word('weightColumn')]])
      assign(f, output, [
        '+',
        ['+', word('output'), phaseWords.load(phase, 'outputOffset')],
        ['+', ['*', group, word('outputGroup')], ['*', column, lanes.size]],
      ])
      assign(f, column, ['+', ['*', group, word('columns')], column])
      if (bias) assign(f, bias.bias, ['+', word('bias'), ['*', bias.biasColumn, column]])
      if (place) assign(f, place.outColumn, ['*', column, lanes.size])
      blockedProduct(f, lanes, {
        k,
        kBlock: word('kBlock'),
        rows,
        accumulate: word('accumulate'),
        pushRowCount,
        packB: packBlockOfWeights,
        multiply: multiplyChunk,
      })
    },
  })
  return m.toBytes()
}
