import { checkCount } from '../check.ts'
import { Pending, run } from '../later.ts'
import { span } from '../place.ts'
import { loadStep, type SavedStep, saveStep } from '../saved-value.ts'
import { type Stage, stageOver, type Step } from '../stage.ts'

/** How far apart windows begin, and their elements are, and what becomes of windows at the end that are not full. */
export interface WindowOptions {
  /** Elements from the beginning of one window to that of the next; default `size`. */
  readonly shift?: number
  /** Elements from one of a window to the next; default 1. */
  readonly stride?: number
  /** Leaves out windows at the end that are not full. */
  readonly dropLast?: boolean
}

/** Arrays of `size` elements each, which overlap where the shift is less. */
export function windowStage<T>(input: Stage<T>, size: number, { shift = size, stride = 1, dropLast = false }: WindowOptions): Stage<T[]> {
  checkCount('window', 'size', size)
  checkCount('window', 'shift', shift)
  checkCount('window', 'stride', stride)
  /** Elements from the first of a window to its last. */
  const reach = (size - 1) * stride + 1
  const { length } = input
  const full = length === undefined ? undefined : Math.max(0, Math.floor((length - reach) / shift) + 1)
  return stageOver<T, T[], { buffer: readonly SavedStep[]; gap: number }>({
    name: 'window',
    input,
    length: length === undefined ? undefined : dropLast ? full : Math.ceil(length / shift),
    pass: (cursor, _, saved) => {
      let buffer: Step<T>[] = (saved?.buffer ?? []).map(loadStep<T>)
      /** Elements between the last window and this one, which belong to none. */
      let gap = saved?.gap ?? 0
      let ended = false
      function* next() {
        while (!ended && buffer.length < reach) {
          const answer = cursor.next()
          const step = answer instanceof Pending ? ((yield answer) as Step<T> | undefined) : answer
          if (!step) ended = true
          else if (gap > 0) gap--
          else buffer.push(step)
        }
        if (buffer.length === 0 || (dropLast && buffer.length < reach)) return undefined
        const steps = buffer.slice(0, reach).filter((_, i) => i % stride === 0)
        gap = Math.max(0, shift - buffer.length)
        buffer = buffer.slice(shift)
        return { value: steps.map(({ value }) => value), place: span(steps[0]!.place, steps.at(-1)!.place) }
      }
      return { next: () => run(next()), state: () => ({ buffer: buffer.map(saveStep), gap }) }
    },
  })
}
