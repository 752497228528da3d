import type { FunctionBuilder, Local } from '../function-builder.ts'
import { assign, type I32, loopWhile, when } from '../i32-expression.ts'
import { weightsWords, weightTapWords } from './weights-plan.ts'

/** A stretch of outputs [low, high) of one line that see a pixel of x through a tap, within the stretch [start, end). */
interface Stretch {
  readonly start: Local<'i32'>
  readonly end: Local<'i32'>
  readonly low: Local<'i32'>
  readonly high: Local<'i32'>
  /** Address of the pixel of x that output `low` sees, relative to x. */
  readonly xOffset: I32
}

/** Walks over `count` output pixels from `pixel` on, line by line. Both locals are used up. */
export function eachStretch(
  f: FunctionBuilder,
  args: Local<'i32'>,
  tap: Local<'i32'>,
  pixel: Local<'i32'>,
  count: Local<'i32'>,
  body: (stretch: Stretch) => void,
): void {
  const word = weightsWords.from(args)
  const [n, d, h, start, end, low, high] = f.locals('i32', 7)
  const [xD, xH] = [f.local('i32'), f.local('i32')]
  // Lines are walked in order, so only the first pixel's number is divided.
  for (const [position, size] of [
    [start, 'outW'],
    [h, 'outH'],
    [d, 'outD'],
  ] as const) {
    assign(f, position, ['%', pixel, word(size)])
    assign(f, pixel, ['/', pixel, word(size)])
  }
  assign(f, n, pixel)
  loopWhile(f, ['>', count, 0], () => {
    assign(f, end, ['min', ['+', start, count], word('outW')])
    assign(f, count, ['-', count, ['-', end, start]])
    assign(f, xD, ['+', ['*', d, word('stepD')], weightTapWords.load(tap, 'd')])
    assign(f, xH, ['+', ['*', h, word('stepH')], weightTapWords.load(tap, 'h')])
    assign(f, low, start)
    assign(f, high, start)
    when(f, ['&', ['<u', xD, word('depth')], ['<u', xH, word('height')]], () => {
      assign(f, low, ['max', start, ['min', end, weightTapWords.load(tap, 'low')]])
      assign(f, high, ['max', low, ['min', end, weightTapWords.load(tap, 'high')]])
    })
    const xOffset: I32 = [
      '+',
      ['+', ['*', n, word('xN')], ['*', xD, word('xD')]],
      ['+', ['*', xH, word('xH')], ['*', ['+', ['*', low, word('stepW')], weightTapWords.load(tap, 'w')], word('xW')]],
    ]
    body({ start, end, low, high, xOffset })
    assign(f, start, 0)
    f.increment(h, 1)
    when(f, ['==', h, word('outH')], () => {
      assign(f, h, 0)
      f.increment(d, 1)
      when(f, ['==', d, word('outD')], () => {
        assign(f, d, 0)
        f.increment(n, 1)
      })
    })
  })
  f.release(n, d, h, start, end, low, high, xD, xH)
}
