export { type ProgressBar, type ProgressOptions, progressBar } from './progress.ts'
export { silent, type TerminalWriter } from './terminal.ts'
export { type ArtOptions, confusionMatrixTable, drawImage, sideBySide } from './terminal-art.ts'
