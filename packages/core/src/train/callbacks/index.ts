export { AccumulationSchedule } from './accumulation-schedule.ts'
export {
  averagesInto,
  ExponentialAverage,
  type ExponentialAverageOptions,
  StochasticWeightAveraging,
  type StochasticWeightAveragingOptions,
} from './averaged-weights.ts'
export { Cost, type CostOptions } from './cost.ts'
export { CsvLogger, type CsvLoggerOptions, type TextSink } from './csv-logger.ts'
export { EarlyStopping, type EarlyStoppingOptions } from './early-stopping.ts'
export { FreezeSchedule, type FreezeStage } from './freeze-schedule.ts'
export { LearningRateMonitor } from './learning-rate-monitor.ts'
export { LearningRateSchedule, type LearningRateScheduleOptions, type Schedule, type SchedulerSource } from './learning-rate-schedule.ts'
export { ModelCheckpoint, type ModelCheckpointOptions } from './model-checkpoint.ts'
export type { MonitorOptions } from './monitor.ts'
export { ReduceOnPlateau, type ReduceOnPlateauOptions } from './reduce-on-plateau.ts'
export { type Spike, SpikeDetection, type SpikeDetectionOptions } from './spike-detection.ts'
export { TensorBoard, type TensorBoardOptions } from './tensor-board.ts'
export { TerminateOnNaN, type TerminateOnNaNOptions } from './terminate-on-nan.ts'
export { Throughput } from './throughput.ts'
export { Timer, type TimerOptions } from './timer.ts'
