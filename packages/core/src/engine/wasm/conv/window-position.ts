import type { FunctionBuilder, Local } from '../function-builder.ts'
import { assign, type I32, push } from '../i32-expression.ts'
import { phaseWords, tapWords, windowWords } from './window-words.ts'

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
