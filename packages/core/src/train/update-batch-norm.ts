import type { Module } from '../nn/module.ts'
import { noGrad } from '../tensor/modes.ts'
import type { Tensor } from '../tensor/tensor.ts'
import { BatchSource } from './batch-source.ts'
import { type BatchData, type BatchNames, readBatch } from './batch.ts'
import { callForward } from './call-forward.ts'
import { neverEnds } from './never-ends.ts'

/** A layer that keeps running statistics. */
interface RunningNorm extends Module {
  momentum: number | null
  readonly runningMean: Tensor | null
  readonly runningVar: Tensor | null
}

/** How batches are taken apart and go through the model. */
export interface UpdateBatchNormOptions {
  readonly batch?: BatchNames
  /** How a batch's inputs go through the model; default: as in `Trainer`. */
  readonly forward?: (inputs: never) => unknown
}

const isRunningNorm = (module: Module): module is RunningNorm =>
  'runningMean' in module && 'runningVar' in module && 'momentum' in module && (module as RunningNorm).runningMean !== null

/**
 * Measures the running statistics of batch normalisation anew, as the mean over batches: weights that were averaged have other ones
 * than the weights they are averages of.
 */
export async function updateBatchNorm(
  model: Module,
  data: BatchData,
  { batch: names, forward }: UpdateBatchNormOptions = {},
): Promise<void> {
  const norms = model.modules().filter(isRunningNorm)
  if (norms.length === 0) return
  const before = model.modules().map((module) => [module, module.training] as const)
  const momenta = norms.map(({ momentum }) => momentum)
  const through = forward ?? ((inputs: unknown) => callForward(model, inputs))
  const source = new BatchSource(data)
  if (source.isEndless) throw neverEnds('updateBatchNorm', 'the data never end', 'data.take(100)')
  model.train()
  try {
    for (let count = 1; ; count++) {
      const batch = await source.next()
      if (batch === undefined) break
      // The share of a new batch in the mean of so many.
      for (const norm of norms) (norm as { momentum: number | null }).momentum = 1 / count
      noGrad(() => through(readBatch(batch, names).inputs as never))
    }
  } finally {
    norms.forEach((norm, i) => (norm.momentum = momenta[i]!))
    for (const [module, training] of before) module.training = training
    await source.close()
  }
}
