// `@cotangent/formats/tracking` in Node: runs in folders.
export * from './index.ts'
export { localMetrics, type LocalRun, localRuns, LocalTracker, type MetricRow } from './local-tracker.node.ts'
export { type WandbOptions, WandbTracker } from './wandb-tracker.node.ts'
