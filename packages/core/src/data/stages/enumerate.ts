import { after } from '../later.ts'
import { type Stage, stageOver } from '../stage.ts'

/** Elements with their number: `[0, a], [1, b]...` */
export function enumerateStage<T>(input: Stage<T>, start: number): Stage<[index: number, value: T]> {
  return stageOver<T, [number, T], number>({
    name: 'enumerate',
    input,
    length: input.length,
    pass: (cursor, _, saved = start) => {
      let index = saved
      return {
        next: () => after(cursor.next(), (step) => step && { value: [index++, step.value] satisfies [number, T], place: step.place }),
        state: () => index,
      }
    },
  })
}
