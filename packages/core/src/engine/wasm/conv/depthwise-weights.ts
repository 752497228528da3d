import type { Finish } from '../epilogue.ts'
import { assign, define, type I32, loopWhile, push } from '../i32-expression.ts'
import { assignVector, clearVectors, loaded, multiplyAdd } from '../lanes.ts'
import { type ProductOptions, startProduct } from '../product-module.ts'
import { routineFunction } from '../routine-entry.ts'
import { eachStretch } from './stretch.ts'
import { DEPTHWISE_VECTORS, weightsWords, weightTapWords } from './weights-plan.ts'

/**
 * Emits the module of the gradient of depthwise weights. A task is a few vectors of channels: line by line of y, so that both
 * images stay in the cache, each tap's sums are continued in the gradient itself.
 */
export function emitConvDepthwiseWeights(options: ProductOptions): Uint8Array<ArrayBuffer> {
  const { m, lanes, storeLanes, finish } = startProduct(options)
  const { f, begin, end, args } = routineFunction(m)
  const word = weightsWords.from(args)
  const task = define(f, begin)
  const [channels, pixelBytes, rowStride] = weightsWords.define(f, args, ['columns', 'pixel', 'rowStride'])
  const [column, columnEnd, line, tap, tapEnd, pixel, count] = f.locals('i32', 7)
  const [x, dy, stop, dw] = f.locals('i32', 4)
  const step = define(f, ['*', word('stepW'), word('xW')])
  const sums = f.locals('v128', DEPTHWISE_VECTORS)
  const offset: I32 = ['*', column, lanes.size]

  const eachTap = (body: () => void) => {
    assign(f, tap, ['+', args, 4 * weightsWords.count])
    assign(f, tapEnd, ['+', tap, ['*', word('rows'), 4 * weightTapWords.count]])
    assign(f, dw, ['+', word('dw'), offset])
    loopWhile(f, ['!=', tap, tapEnd], () => {
      body()
      assign(f, dw, ['+', dw, rowStride])
      f.increment(tap, 4 * weightTapWords.count)
    })
  }

  const store = (vectors: number) => {
    for (const [v, sum] of sums.slice(0, vectors).entries()) {
      f.get(dw)
      f.get(sum)
      if (vectors > 1) {
        f.mem('v128.store', 16 * v)
      } else {
        push(f, ['-', columnEnd, column])
        f.call(storeLanes)
      }
    }
  }

  /** Adds a line's products of the tap at hand to its sums. */
  const sumLine = (vectors: number) => {
    for (const [v, sum] of sums.slice(0, vectors).entries()) assignVector(f, sum, loaded(f, dw, 16 * v))
    assign(f, pixel, line)
    assign(f, count, word('outW'))
    eachStretch(f, args, tap, pixel, count, ({ low, high, xOffset }) => {
      assign(f, dy, ['+', ['+', word('dy'), offset], ['*', ['+', line, low], pixelBytes]])
      assign(f, stop, ['+', dy, ['*', ['-', high, low], pixelBytes]])
      assign(f, x, ['+', ['+', word('x'), offset], xOffset])
      loopWhile(f, ['!=', dy, stop], () => {
        for (let v = 0; v < vectors; v++) multiplyAdd(f, lanes, sums[v]!, loaded(f, x, 16 * v), loaded(f, dy, 16 * v))
        assign(f, x, ['+', x, step])
        assign(f, dy, ['+', dy, pixelBytes])
      })
    })
    store(vectors)
  }

  const clearUnlessAccumulating = (vectors: number) => {
    push(f, word('accumulate'))
    f.op('i32.eqz')
    f.if(() => {
      clearVectors(f, lanes, sums.slice(0, vectors))
      eachTap(() => store(vectors))
    })
  }

  /** All lines, for the vectors of channels at `column`; moves on to the next ones. */
  const sumLines = (vectors: number) => {
    clearUnlessAccumulating(vectors)
    assign(f, line, 0)
    loopWhile(f, ['<', line, word('pixels')], () => {
      eachTap(() => sumLine(vectors))
      assign(f, line, ['+', line, word('outW')])
    })
    f.increment(column, vectors * lanes.count)
  }

  const startTask = () => assign(f, column, ['*', task, DEPTHWISE_VECTORS * lanes.count])

  /** Applies the epilogue to the task's columns of the gradient. */
  const finishTask = (epilogue: Finish) => {
    startTask()
    assign(f, dw, ['+', word('dw'), offset])
    epilogue.call(f, {
      block: ['+', args, word('epilogue')],
      source: dw,
      sourceRow: rowStride,
      c: dw,
      cRow: rowStride,
      column: offset,
      rows: word('rows'),
      columns: ['-', columnEnd, column],
    })
  }

  loopWhile(f, ['<', task, end], () => {
    startTask()
    assign(f, columnEnd, ['min', channels, ['+', column, DEPTHWISE_VECTORS * lanes.count]])
    for (const vectors of [DEPTHWISE_VECTORS, 1]) {
      loopWhile(f, ['>=', ['-', columnEnd, column], vectors === 1 ? 1 : vectors * lanes.count], () => sumLines(vectors))
    }
    if (finish) finishTask(finish)
    f.increment(task, 1)
  })
  return m.toBytes()
}
