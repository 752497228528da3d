export type { BatchData, BatchNames } from './batch.ts'
export type { Callback } from './callback.ts'
export {
  LearningRateSchedule,
  type LearningRateScheduleOptions,
  type Schedule,
  type SchedulerSource,
} from './callbacks/learning-rate-schedule.ts'
export type { CheckpointEntry, CheckpointSaveOptions, CheckpointStore, RestoredCheckpoint } from './checkpoint-store.ts'
export type { CheckpointRetention } from './checkpoint-retention.ts'
export { type ProgressBar, type ProgressOptions, progressBar } from './progress.ts'
export { silent, type TerminalWriter } from './terminal.ts'
export { type ArtOptions, confusionMatrixTable, drawImage, sideBySide } from './terminal-art.ts'
export type { Metric, MetricUpdateOptions } from './metric.ts'
export * as metrics from './metrics/index.ts'
export type { FitResult } from './fit-loop.ts'
export type { BatchingOptions, FitOptions, TensorData } from './fit-options.ts'
export type { EpochRecord, History } from './history.ts'
export type { ClassWeights, Loss, LossFunction, LossModule } from './loss-terms.ts'
export type { AnyMetric, Logs, MetricFunction, Metrics } from './metric-set.ts'
export type { HyperParameters, SummaryWriter } from './summary.ts'
export { type EvaluateOptions, type PredictOptions, Trainer } from './trainer.ts'
export type { Precision, StepFunction, StepResult, TrainerOptions } from './trainer-options.ts'
export type { Training, TrainingPlan } from './training.ts'
