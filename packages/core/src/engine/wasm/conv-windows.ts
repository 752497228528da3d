import type { ModuleBuilder } from './assembler.ts'
import { phaseWords, tapWords, windowWords } from './conv-plan.ts'
import type { FunctionBuilder, Local } from './function-builder.ts'
import { blockedProduct, eachTaskBlock, taskBlock } from './gemm-blocks.ts'
import { emitTiles, TILE_ROWS, tileColumns } from './gemm-kernel.ts'
import { type ByteType, emitPackBytes, loadPairs } from './gemm-pack-bytes.ts'
import { emitPack, squareMover } from './gemm-pack.ts'
import { assign, define, type I32, push } from './i32-expression.ts'
import type { Lanes } from './lanes.ts'
import { NamedFunction } from './named-function.ts'
import { type ProductOptions, startProduct } from './product-module.ts'
import { routineFunction } from './routine-entry.ts'

/** Splits a row's number into its positions along W, H, D and the batch; `row` is used up and holds the batch index. */
export function decodeRow(
  f: FunctionBuilder,
  phase: Local<'i32'>,
  row: Local<'i32'>,
  [d, h, w]: readonly [Local<'i32'>, Local<'i32'>, Local<'i32'>],
): void {
  for (const [position, size] of [
    [w, 'rowsW'],
    [h, 'rowsH'],
    [d, 'rowsD'],
  ] as const) {
    assign(f, position, ['%', row, phaseWords.load(phase, size)])
    assign(f, row, ['/', row, phaseWords.load(phase, size)])
  }
}

/** Pushes whether the source has a pixel at a row's position moved by a tap. Negative positions are large as unsigned. */
export function pushInside(f: FunctionBuilder, args: Local<'i32'>, position: readonly Local<'i32'>[], tap: Local<'i32'>): void {
  const inside = (i: number, axis: 'd' | 'h' | 'w', size: 'depth' | 'height' | 'width'): I32 => [
    '<u',
    ['+', position[i]!, tapWords.load(tap, axis)],
    windowWords.load(args, size),
  ]
  push(f, ['&', ['&', inside(0, 'd', 'depth'), inside(1, 'h', 'height')], inside(2, 'w', 'width')])
}

/** Pushes whether every tap of a window that starts here stays inside of the source, along the axes given. */
export function pushInterior(
  f: FunctionBuilder,
  args: Local<'i32'>,
  phase: Local<'i32'>,
  position: { readonly [axis in 'd' | 'h' | 'w']?: Local<'i32'> },
): void {
  const axes = [
    ['d', 'lowD', 'highD', 'depth'],
    ['h', 'lowH', 'highH', 'height'],
    ['w', 'lowW', 'highW', 'width'],
  ] as const
  let inside: I32 = 1
  for (const [axis, low, high, size] of axes) {
    const at = position[axis]
    if (!at) continue
    for (const end of [low, high]) {
      const here: I32 = ['<u', ['+', at, phaseWords.load(phase, end)], windowWords.load(args, size)]
      inside = inside === 1 ? here : ['&', inside, here]
    }
  }
  push(f, inside)
}

/** Turns positions of a row into those of its window's start in the source, and pushes the bytes from `source` to there. */
export function toSource(
  f: FunctionBuilder,
  args: Local<'i32'>,
  phase: Local<'i32'>,
  batch: Local<'i32'>,
  position: readonly [Local<'i32'>, Local<'i32'>, Local<'i32'>],
): void {
  const [d, h, w] = position
  assign(f, d, ['+', ['*', d, windowWords.load(args, 'stepD')], phaseWords.load(phase, 'startD')])
  assign(f, h, ['+', ['*', h, windowWords.load(args, 'stepH')], phaseWords.load(phase, 'startH')])
  assign(f, w, ['+', ['*', w, windowWords.load(args, 'stepW')], phaseWords.load(phase, 'startW')])
  push(f, [
    '+',
    ['+', ['*', batch, windowWords.load(args, 'sourceN')], ['*', d, windowWords.load(args, 'sourceD')]],
    ['+', ['*', h, windowWords.load(args, 'sourceH')], ['*', w, windowWords.load(args, 'sourceW')]],
  ])
}

const packParams = ['args', 'phase', 'source', 'zeros', 'destination', 'panel', 'row', 'rows', 'firstTap', 'firstChannel', 'count'] as const
type PackWindows = NamedFunction<(typeof packParams)[number]>

/**
 * Emits what gathers panels, `panel` bytes apart, of `count` neighbouring (tap, channel) pairs of each row's window, from `firstTap`
 * (an address) and `firstChannel` on. What lies outside of the source reads as zero. Of bytes, what counts as a channel is a
 * pair of them.
 */
function emitPackWindows(m: ModuleBuilder, lanes: Lanes, byte: ByteType | undefined): PackWindows {
  const pack: PackWindows = new NamedFunction(m, 'packWindows', packParams)
  const { f, params } = pack
  const { args, phase, source, zeros, destination, panel, row, rows, firstTap, firstChannel, count } = params
  const channels = define(f, windowWords.load(args, 'channels'))
  const bases = f.locals('i32', TILE_ROWS)
  const positions = bases.map(() => [f.local('i32'), f.local('i32'), f.local('i32')] as const)
  const pointers = f.locals('i32', TILE_ROWS)
  const [tap, channel, left, segment, at, to, kLeft, interior, neighbours] = f.locals('i32', 9)
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
    push(f, ['==', kLeft, 1])
    f.if(() => {
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
    f.while(
      () => push(f, ['>', left, 0]),
      () => {
        assign(f, segment, ['min', left, ['-', channels, channel]])
        const delta = define(f, ['+', tapWords.load(tap, 'delta'), ['*', channel, elementBytes]])
        pointers.forEach((pointer, i) => assign(f, pointer, ['+', bases[i]!, delta]))
        f.release(delta)
        f.get(interior)
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
      },
    )
  }

  /** Windows of one channel each that lie next to each other: a vector for each tap. */
  const copyPlane = (copyTap: (from: Local<'i32'>) => void) => {
    const end = define(f, ['+', tap, ['*', count, 4 * tapWords.count]])
    assign(f, to, destination)
    f.while(
      () => push(f, ['!=', tap, end]),
      () => {
        const from = define(f, ['+', bases[0]!, tapWords.load(tap, 'delta')])
        copyTap(from)
        f.release(from)
        f.increment(to, stepBytes)
        f.increment(tap, 4 * tapWords.count)
      },
    )
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

  // Rows are walked in order, so only the first one's number is divided.
  const [rowD, rowH, rowW] = f.locals('i32', 3)
  decodeRow(f, phase, row, [rowD, rowH, rowW])
  const [lineD, lineH, lineBase, lineInterior] = f.locals('i32', 4)
  const startLine = () => {
    assign(f, lineD, ['+', ['*', rowD, windowWords.load(args, 'stepD')], phaseWords.load(phase, 'startD')])
    assign(f, lineH, ['+', ['*', rowH, windowWords.load(args, 'stepH')], phaseWords.load(phase, 'startH')])
    assign(f, lineBase, [
      '+',
      ['+', source, ['*', row, windowWords.load(args, 'sourceN')]],
      ['+', ['*', lineD, windowWords.load(args, 'sourceD')], ['*', lineH, windowWords.load(args, 'sourceH')]],
    ])
    pushInterior(f, args, phase, { d: lineD, h: lineH })
    f.set(lineInterior)
  }
  const nextRow = () => {
    f.increment(rowW, 1)
    push(f, ['==', rowW, phaseWords.load(phase, 'rowsW')])
    f.if(() => {
      assign(f, rowW, 0)
      f.increment(rowH, 1)
      push(f, ['==', rowH, phaseWords.load(phase, 'rowsH')])
      f.if(() => {
        assign(f, rowH, 0)
        f.increment(rowD, 1)
        push(f, ['==', rowD, phaseWords.load(phase, 'rowsD')])
        f.if(() => {
          assign(f, rowD, 0)
          f.increment(row, 1)
        })
      })
      startLine()
    })
  }
  startLine()

  const prepareRows = () => {
    assign(f, interior, 1)
    positions.forEach(([d, h, w], i) => {
      assign(f, d, lineD)
      assign(f, h, lineH)
      assign(f, w, ['+', ['*', rowW, windowWords.load(args, 'stepW')], phaseWords.load(phase, 'startW')])
      assign(f, bases[i]!, ['+', lineBase, ['*', w, windowWords.load(args, 'sourceW')]])
      pushInterior(f, args, phase, { w })
      push(f, ['&', interior, lineInterior])
      f.op('i32.and')
      f.set(interior)
      // Rows that are missing in the last panel repeat the last one.
      push(f, ['>', rows, i + 1])
      f.if(nextRow)
    })
    assign(f, neighbours, interior)
    for (let i = 1; i < TILE_ROWS; i++) assign(f, neighbours, ['&', neighbours, ['==', ['-', bases[i]!, bases[i - 1]!], lanes.size]])
  }

  const copyRowsOrPlane = () => {
    push(f, ['&', neighbours, ['==', channels, 1]])
    f.if(
      () => copyPlane(copyInterior),
      () => {
        if (lanes.count < TILE_ROWS) return copyWindows()
        const last = TILE_ROWS - 1
        const oneLine: I32 = ['&', ['==', windowWords.load(args, 'stepW'), 1], ['==', ['-', positions[last]![2], positions[0]![2]], last]]
        push(f, ['&', ['&', oneLine, ['==', windowWords.load(args, 'sourceW'), lanes.size]], ['==', channels, 1]])
        f.if(() => copyPlane(copyEdge), copyWindows)
      },
    )
  }

  f.while(
    () => push(f, ['>', rows, 0]),
    () => {
      prepareRows()
      assign(f, tap, firstTap)
      assign(f, channel, firstChannel)
      if (byte) copyWindows()
      else copyRowsOrPlane()
      assign(f, destination, ['+', destination, panel])
      f.increment(rows, -TILE_ROWS)
    },
  )
  return pack
}

/**
 * Emits the module of products of windows with weights: the convolution and its gradient with respect to the input, by
 * `planConv` and `planConvGradInput`. It is an implicit matrix product: the panels of A are gathered from the windows, so the unfolded input is never in memory as a whole.
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
  const word = (name: Parameters<typeof windowWords.at>[0]) => windowWords.load(args, name)
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

  const product = () =>
    blockedProduct(f, lanes, {
      k,
      kBlock: word('kBlock'),
      rows,
      accumulate: word('accumulate'),
      pushRowCount(block) {
        // A chunk ends where the distance between outputs changes.
        const inLine: I32 = ['-', phaseWords.load(phase, 'line'), ['%', ['+', row, block.row], phaseWords.load(phase, 'line')]]
        push(f, ['min', ['min', word('rowChunk'), ['-', rows, block.row]], inLine])
      },
      packB({ kStart, kCount, bPanel }) {
        const tap = define(f, ['/', kStart, channels])
        const channel = define(f, ['-', kStart, ['*', tap, channels]])
        const left = define(f, kCount)
        const to = define(f, packedB)
        const segment = f.local('i32')
        assign(f, tap, ['+', ['+', args, phaseWords.load(phase, 'taps')], ['*', tap, 4 * tapWords.count]])
        f.while(
          () => push(f, ['>', left, 0]),
          () => {
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
          },
        )
        f.release(tap, channel, left, to, segment)
      },
      multiply(block) {
        const tap = define(f, ['/', block.kStart, channels])
        const first = define(f, ['+', row, block.row])
        const { rowCount, kCount, aPanel, bPanel, accumulate, last } = block
        packWindows.call(f, {
          args,
          phase,
          source,
          zeros,
          destination: packedA,
          panel: aPanel,
          row: first,
          rows: rowCount,
          firstTap: ['+', ['+', args, phaseWords.load(phase, 'taps')], ['*', tap, 4 * tapWords.count]],
          firstChannel: ['-', block.kStart, ['*', tap, channels]],
          count: kCount,
        })

        const [d, h, w] = f.locals('i32', 3)
        const batch = define(f, first)
        decodeRow(f, phase, batch, [d, h, w])
        const cHere: I32 = [
          '+',
          ['+', output, ['+', ['*', batch, phaseWords.load(phase, 'outputN')], ['*', d, phaseWords.load(phase, 'outputD')]]],
          ['+', ['*', h, phaseWords.load(phase, 'outputH')], ['*', w, phaseWords.load(phase, 'outputW')]],
        ]
        tiles.call(f, {
          a: packedA,
          aRow: aPanel,
          aK: 0,
          b: packedB,
          bPanel,
          bK: 0,
          c: cHere,
          cRow: phaseWords.load(phase, 'outputW'),
          rows: rowCount,
          columns,
          k: kCount,
          accumulate,
          last,
          tile: scratch,
          ...bias,
          ...place,
        })
        f.release(tap, first, d, h, w, batch)
      },
    })

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
      product()
    },
  })
  return m.toBytes()
}
