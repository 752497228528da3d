import type { RoutineMeaning } from './engine/reference/arithmetic.ts'
import * as meaning from './engine/reference/conv.ts'
import { interpret } from './engine/reference/interpret.ts'
import * as pooling from './engine/reference/pool.ts'
import { type Operand, type Routine, routine, type RoutineAttrs, type RoutineName } from './engine/routine.ts'
import { prepareAttention, prepareAttentionGrad } from './engine/wasm/attention.ts'
import { useByteCode } from './engine/wasm/byte-code.ts'
import { convGradInputRecipe, convGradWeightRecipe, convRecipe } from './engine/wasm/conv/recipes.ts'
import { cumulativeRecipe } from './engine/wasm/cumulative.ts'
import type { RoutineFallback } from './engine/wasm/engine.ts'
import { foldRecipe } from './engine/wasm/fold.ts'
import { emitPackBytes } from './engine/wasm/gemm-pack-bytes.ts'
import { emitByteRowTimesColumns, emitByteRowTimesRows } from './engine/wasm/gemv-bytes.ts'
import { matmulRecipe, matmulVariants } from './engine/wasm/matmul-recipe.ts'
import { maxPoolGradRecipe } from './engine/wasm/max-pool-grad.ts'
import { maxPoolRecipe } from './engine/wasm/max-pool.ts'
import { prepareRecurrent, prepareRecurrentGrad } from './engine/wasm/recurrent.ts'
import { addCode, type RoutineCode } from './engine/wasm/routine-code.ts'
import { scatterRecipe } from './engine/wasm/scatter.ts'
import { sortRecipe } from './engine/wasm/sort.ts'
import { CotangentError } from './errors.ts'

export type MakeRoutine<N extends RoutineName> = (
  attrs: RoutineAttrs[N],
  inputs: readonly Operand[],
  outputs: readonly Operand[],
) => Routine<N>

/** Plain code by name, for routines of which the Wasm engine does not compute all. */
const plain = new Map<RoutineName, RoutineFallback>()

/**
 * What makes routines of this name, and brings the code that runs them along: so a program holds that of the routines which its ops make, and
 * bundlers leave out the rest.
 */
/* @__NO_SIDE_EFFECTS__ */
function linked<N extends RoutineName>(name: N, code: RoutineCode<N>, otherwise?: RoutineFallback): MakeRoutine<N> {
  addCode(name, code)
  if (otherwise) plain.set(name, otherwise)
  return (attrs, inputs, outputs) => routine(name, attrs, inputs, outputs)
}

/* @__NO_SIDE_EFFECTS__ */
const plainly =
  <N extends RoutineName>(meaning: RoutineMeaning<N>): RoutineFallback =>
  (program) =>
    interpret(program as Routine<N>, meaning)

export const matmul = linked('matmul', { recipe: matmulRecipe, variants: matmulVariants })
export const conv = linked('conv', { recipe: convRecipe }, plainly(meaning.conv))
export const convGradInput = linked('convGradInput', { recipe: convGradInputRecipe }, plainly(meaning.convGradInput))
export const convGradWeight = linked('convGradWeight', { recipe: convGradWeightRecipe }, plainly(meaning.convGradWeight))
export const maxPool = linked('maxPool', { recipe: maxPoolRecipe }, plainly(pooling.maxPool))
export const maxPoolGrad = linked('maxPoolGrad', { recipe: maxPoolGradRecipe })
export const fold = linked('fold', { recipe: foldRecipe }, plainly(pooling.fold))
export const sort = linked('sort', { recipe: sortRecipe })
export const scatter = linked('scatter', { recipe: scatterRecipe })
export const cumulative = linked('cumulative', { recipe: cumulativeRecipe })
export const attention = linked('attention', { composed: prepareAttention })
export const attentionGrad = linked('attentionGrad', { composed: prepareAttentionGrad })
export const recurrent = linked('recurrent', { composed: prepareRecurrent })
export const recurrentGrad = linked('recurrentGrad', { composed: prepareRecurrentGrad })

/** Gives back what uses products of bytes, and brings the code for those along: ops of quantised numbers, and `compile`. */
/* @__NO_SIDE_EFFECTS__ */
export function withByteProducts<T>(user: T): T {
  useByteCode({ pack: emitPackBytes, rowTimesRows: emitByteRowTimesRows, rowTimesColumns: emitByteRowTimesColumns })
  return user
}

/** Runs what has no emitted code. */
export const plainRoutine: RoutineFallback = (program) => {
  const run = plain.get(program.name)
  if (run) return run(program)
  throw new CotangentError('engine-failure', {
    op: program.name,
    message: 'there is no code for this routine',
    hint: 'Make routines with the ops of this package.',
  })
}
