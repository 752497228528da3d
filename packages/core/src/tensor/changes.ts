/**
 * `count` goes up when the `.grad` or `requiresGrad` of any tensor is set, when memory is released by hand, when modules change
 * between training and use, and when optimisers count steps or get another state. What holds of these holds as long as the count stays, so
 * that a compiled step need not look at each of its parameters on each run.
 */
export const changes = {
  count: 0,
  /** What counted steps of optimisers last, which counts as a change when it is another. */
  counter: null as StepCounter | null,
}

/** What counts steps of optimisers each time that it runs. */
export interface StepCounter {
  /** Whether as many for each parameter, so that those that have been updated equally often go on so. */
  readonly even: boolean
}

/** Says that `counter` is about to count. */
export function countSteps(counter: StepCounter): void {
  if (changes.counter === counter && counter.even) return
  changes.counter = counter
  changes.count++
}
