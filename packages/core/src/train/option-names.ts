import { CotangentError } from '../errors.ts'
import type { FitOptions } from './fit-options.ts'
import { didYouMean } from './near-names.ts'
import type { TrainerOptions } from './trainer-options.ts'

// Every name, so that the compiler tells of one that is missing.
const ofFit: Readonly<Record<keyof FitOptions, true>> = {
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
const ofTrainer: Readonly<Record<keyof TrainerOptions, true>> = {
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

/** @throws {CotangentError} `invalid-argument` for a name that `fit` or the trainer does not have, with what was probably meant. */
export function checkOptionNames(of: 'fit' | 'Trainer', options: object): void {
  const [own, others] = of === 'fit' ? [ofFit, ofTrainer] : [ofTrainer, ofFit]
  const wrong = Object.keys(options).find((name) => !Object.hasOwn(own, name))
  if (wrong === undefined) return
  const here = elsewhere[wrong.toLowerCase().replaceAll('_', '')]
  const meant = here ?? (Object.hasOwn(others, wrong) ? wrong : undefined)
  const isOther = meant !== undefined && Object.hasOwn(others, /^\w+/.exec(meant)![0]) && !Object.hasOwn(own, /^\w+/.exec(meant)![0])
  const place = isOther ? `, an option of ${of === 'fit' ? 'the Trainer' : 'fit'}` : ''
  throw new CotangentError('invalid-argument', {
    op: of,
    message: `there is no option ${wrong}`,
    hint: meant ? `Here it is ${meant}${place}.` : `${didYouMean(wrong, Object.keys(own))}There are ${Object.keys(own).join(', ')}.`,
  })
}
