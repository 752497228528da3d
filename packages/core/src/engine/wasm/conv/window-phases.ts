import { phaseWords, windowWords } from './window-words.ts'

/** Along one axis, outputs that see the same taps. */
export interface Axis {
  taps: { offset: number; kernel: number }[]
  rows: number
  start: number
  /** First output of the phase and distance of its outputs. */
  first: number
  every: number
}

/** Outputs that see the same taps. */
interface Phase {
  readonly rows: number
  readonly axes: readonly [d: Axis, h: Axis, w: Axis]
  /** Source positions relative to the row's, and positions in the kernel. */
  readonly taps: readonly { readonly offsets: readonly number[]; readonly kernel: readonly number[] }[]
}

/** All phases of axes; `blind` where nothing is summed. */
export function phasesOf(axes: readonly (readonly Axis[])[], { batch, blind }: { batch: number; blind: boolean }): Phase[] {
  return product3(axes).map(([d, h, w]) => ({
    rows: batch * d.rows * h.rows * w.rows,
    axes: [d, h, w],
    taps: blind
      ? []
      : product3([d.taps, h.taps, w.taps]).map((taps) => ({
          offsets: taps.map(({ offset }) => offset),
          kernel: taps.map(({ kernel }) => kernel),
        })),
  }))
}

/** The words of the phases, and behind them those of their taps. Strides in bytes, from the batch (of the weights: from D) on. */
export function phaseArguments(
  phases: readonly Phase[],
  strides: { readonly source: readonly number[]; readonly weights: readonly number[]; readonly output: readonly number[] },
): number[] {
  const [outputN, outputD, outputH, outputW] = strides.output as [number, number, number, number]
  const dot = (steps: readonly number[], byStep: readonly number[]) => steps.reduce((sum, step, i) => sum + step * byStep[i]!, 0)
  const firstTap = windowWords.count + phases.length * phaseWords.count
  const tapList: number[] = []
  const phaseList = phases.flatMap(({ rows, axes: [d, h, w], taps }) => {
    const first = firstTap + tapList.length
    for (const { offsets, kernel } of taps) tapList.push(...offsets, dot(offsets, strides.source.slice(1)), dot(kernel, strides.weights))
    const [lowD, lowH, lowW] = [0, 1, 2].map((axis) => Math.min(...taps.map(({ offsets }) => offsets[axis]!)))
    const [highD, highH, highW] = [0, 1, 2].map((axis) => Math.max(...taps.map(({ offsets }) => offsets[axis]!)))
    return [
      ...phaseWords.withValues({
        rows,
        rowsD: d.rows,
        rowsH: h.rows,
        rowsW: w.rows,
        startD: d.start,
        startH: h.start,
        startW: w.start,
        outputOffset: d.first * outputD + h.first * outputH + w.first * outputW,
        outputN,
        outputD: outputD * d.every,
        outputH: outputH * h.every,
        outputW: outputW * w.every,
        line: phases.length === 1 ? rows : w.rows,
        taps: 4 * first,
        tapCount: taps.length,
        lowD: lowD!,
        highD: highD!,
        lowH: lowH!,
        highH: highH!,
        lowW: lowW!,
        highW: highW!,
      }),
    ]
  })
  return [...phaseList, ...tapList]
}

/** Every choice of one item from each of three lists, last fastest. */
function product3<T>([first, second, third]: readonly (readonly T[])[]): [T, T, T][] {
  return first!.flatMap((a) => second!.flatMap((b) => third!.map((c): [T, T, T] => [a, b, c])))
}
