import { type OptionNames, unknownOption } from '../option-names.ts'
import type { FitOptions } from './fit-options.ts'
import type { TrainerOptions } from './trainer-options.ts'

export const fitOptionNames: OptionNames<FitOptions> = {
  epochs: true,
  batchSize: true,
  shuffle: true,
  batchesPerEpoch: true,
  maxSteps: true,
  maxTime: true,
  validation: true,
  validationSplit: true,
  validateEvery: true,
  limitBatches: true,
  overfitBatches: true,
  fastDevRun: true,
  deterministic: true,
  resume: true,
  callbacks: true,
  schedule: true,
  display: true,
  signal: true,
  interruptible: true,
}
export const trainerOptionNames: OptionNames<TrainerOptions> = {
  optimizer: true,
  loss: true,
  lossWeights: true,
  metrics: true,
  forward: true,
  batch: true,
  trainStep: true,
  evalStep: true,
  optimization: true,
  classWeights: true,
  clipNorm: true,
  clipValue: true,
  accumulate: true,
  precision: true,
  scaler: true,
  compile: true,
  schedule: true,
  callbacks: true,
  display: true,
  parts: true,
}

/** What Keras and Lightning call things (without case and underscores), and what they are here. */
const elsewhere: Readonly<Record<string, string>> = {
  numepochs: 'epochs',
  maxepochs: 'epochs',
  stepsperepoch: 'batchesPerEpoch',
  initialepoch: 'resume',
  validationdata: 'validation',
  validationsteps: 'limitBatches: { validation }',
  validationfreq: 'validateEvery: { epochs }',
  checkvaleverynepoch: 'validateEvery: { epochs }',
  valcheckinterval: 'validateEvery: { batches }',
  limittrainbatches: 'limitBatches: { train }',
  limitvalbatches: 'limitBatches: { validation }',
  ckptpath: 'resume',
  verbose: "display: 'quiet'",
  enableprogressbar: "display: 'quiet'",
  classweight: 'classWeights',
  gradientclipval: 'clipNorm',
  clipvalue: 'clipValue',
  clipnorm: 'clipNorm',
  accumulategradbatches: 'accumulate',
  sampleweight: 'weights, an entry of the data',
  sampleweights: 'weights, an entry of the data',
  runeagerly: 'compile: false',
  jitcompile: 'compile',
  seed: 'deterministic',
}

/**
 * @param own The names that `of` has: some of `fit`'s or the trainer's, or more.
 * @throws {CotangentError} `invalid-argument` for another one, with what was probably meant.
 */
export function checkTrainingOptions(of: string, options: object, own: object): void {
  const wrong = Object.keys(options).find((name) => !Object.hasOwn(own, name))
  if (wrong === undefined) return
  const meant = elsewhere[wrong.toLowerCase().replaceAll('_', '')] ?? (ownerOf(wrong) && wrong)
  if (meant === undefined) throw unknownOption(of, wrong, own)
  const name = /^\w+/.exec(meant)![0]
  const owner = Object.hasOwn(own, name) ? undefined : ownerOf(name)
  throw unknownOption(of, wrong, own, `Here it is ${meant}${owner ? `, an option of ${owner}` : ''}.`)
}

const ownerOf = (name: string): string | undefined =>
  Object.hasOwn(fitOptionNames, name) ? 'fit' : Object.hasOwn(trainerOptionNames, name) ? 'the Trainer' : undefined
