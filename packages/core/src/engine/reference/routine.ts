import type { Routine, RoutineName } from '../routine.ts'
import { cumulative, scatter } from './along-axis.ts'
import type { RoutineMeaning } from './arithmetic.ts'
import { attention, attentionGrad } from './attention.ts'
import { conv, convGradInput, convGradWeight } from './conv.ts'
import { interpret, type RunRoutine } from './interpret.ts'
import { matmul } from './matmul.ts'
import { fold, maxPool, maxPoolGrad } from './pool.ts'
import { recurrent, recurrentGrad } from './recurrent.ts'
import { sort } from './sort.ts'

/** What each routine means, on dense values. */
const meanings = {
  matmul,
  conv,
  convGradInput,
  convGradWeight,
  maxPool,
  maxPoolGrad,
  fold,
  sort,
  scatter,
  cumulative,
  recurrent,
  recurrentGrad,
  attention,
  attentionGrad,
} satisfies { [N in RoutineName]: RoutineMeaning<N> }

/** Any routine, plainly. */
export function referenceRoutine(routine: Routine): RunRoutine {
  return interpret(routine, meanings[routine.name] as RoutineMeaning<RoutineName>)
}
