import type { Stateful } from '../io/checkpoint.ts'
import { defaultGenerator } from '../tensor/generator.ts'
import { mapTree } from '../tree.ts'
import { isTensor } from './batch.ts'
import { WeightsCopy } from './callbacks/weights-copy.ts'
import type { StepProgram } from './step-program.ts'

/** Runs `body`, which may train, and sets weights, optimiser, scaler, random numbers and data back to what they were. Gradients are gone. */
export async function undisturbed<T>(program: StepProgram, data: Stateful | undefined, body: () => Promise<T>): Promise<T> {
  const { model, optimizer, scaler } = program
  const weights = new WeightsCopy(model)
  const training = model.modules().map((module) => [module, module.training] as const)
  const random = defaultGenerator.state
  const optimizerState = mapTree(optimizer.stateDict(), isTensor, (x) => x.clone())
  const scalerState = scaler?.stateDict()
  const dataState = data?.stateDict()
  model.train()
  try {
    return await body()
  } finally {
    weights.restore()
    weights.dispose()
    optimizer.loadStateDict(optimizerState as ReturnType<typeof optimizer.stateDict>)
    optimizer.zeroGrad()
    if (scalerState) scaler!.loadStateDict(scalerState)
    defaultGenerator.state = random
    for (const [module, before] of training) module.training = before
    if (dataState !== undefined) data!.loadStateDict(dataState as never)
    program.reset('train')
  }
}
