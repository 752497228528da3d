import type { Operand } from '../../routine.ts'
import { byteDemands, bytesOf } from '../byte-demands.ts'
import type { Epilogue } from '../epilogue.ts'
import { biasOf, productJob, type ProductOptions } from '../product-module.ts'
import type { Job, Layout, RecipeRule } from '../routine-code.ts'
import { emitConvDepthwiseWeights } from './depthwise-weights.ts'
import { emitConvDepthwise } from './depthwise.ts'
import type { ConvModule, ConvPlan, ConvProblem } from './problem.ts'
import { planConvGradWeight } from './weights-plan.ts'
import { emitConvWeights } from './weights.ts'
import { planConv, planConvGradInput } from './window-plan.ts'
import { emitConvWindows } from './windows.ts'

/** Depthwise code reads the weights of neighbouring channels as vectors. */
const weightLayout = ({ groups }: { readonly groups: number }): Layout => (groups > 1 ? 'lastContiguous' : 'any')

/** One channel in and one out a group. */
const isDepthwise = ({ groups }: { readonly groups: number }, { shape }: Operand) =>
  groups > 1 && shape.at(-2) === 1 && shape.at(-1) === groups

export const convRecipe: RecipeRule<'conv'> = ({ attrs, inputs }, type, demand, epilogue) => {
  const bytes = isDepthwise(attrs, inputs[1]!) ? undefined : bytesOf(type, inputs)
  return {
    demands: byteDemands(bytes, demand('lastContiguous'), demand(weightLayout(attrs)), demand('lastUniform')),
    results: [type],
    job: ([x, w, bias], [y], threads) =>
      convJob(planConv, { ...attrs, type, x: x!, w: w!, y: y!, threads, ...biasOf(bias), bytes }, epilogue),
  }
}

export const convGradInputRecipe: RecipeRule<'convGradInput'> = ({ attrs, inputs }, type, demand, epilogue) => {
  const bytes = isDepthwise(attrs, inputs[1]!) ? undefined : bytesOf(type, inputs)
  return {
    demands: byteDemands(bytes, demand('lastContiguous'), demand(weightLayout(attrs))),
    results: [type],
    job: ([y, w], [x], threads) => convJob(planConvGradInput, { ...attrs, type, x: x!, w: w!, y: y!, threads, bytes }, epilogue),
  }
}

export const convGradWeightRecipe: RecipeRule<'convGradWeight'> = ({ attrs }, type, demand, epilogue) => ({
  demands: [demand('lastContiguous'), demand('dense')],
  results: [type],
  job: ([x, y], [w], threads) => convJob(planConvGradWeight, { ...attrs, type, x: x!, w: w!, y: y!, threads }, epilogue),
})

const emitters = {
  windows: emitConvWindows,
  depthwise: emitConvDepthwise,
  weights: emitConvWeights,
  depthwiseWeights: emitConvDepthwiseWeights,
} as const satisfies Record<ConvModule, (options: ProductOptions) => Uint8Array<ArrayBuffer>>

function convJob(plan: (problem: ConvProblem) => ConvPlan, problem: ConvProblem, epilogue: Epilogue | undefined): Job {
  const made = plan(problem)
  return productJob(made.module, emitters[made.module], made, {
    type: problem.type,
    bias: problem.bias !== undefined,
    epilogue,
    bytes: problem.bytes,
  })
}
