// What runs everywhere: `@cotangent/formats/tracking` in a browser.
export { type MlflowOptions, MlflowTracker } from './mlflow-tracker.ts'
export { type RunOptions, type RunStatus, summaryWriter, type Tracker } from './tracker.ts'
