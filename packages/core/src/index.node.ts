// What needs Node: `import { saveFile } from 'cotangent/node'`.
export { fileBytes, type FileBytesOptions } from './data/file-bytes.node.ts'
export { FileStore, type FileStoreOptions } from './data/file-store.node.ts'
export { loadMnist, type DigitSet, type Mnist } from './data/sets/mnist.node.ts'
export { loadCheckpoint, loadFile, saveCheckpoint, saveFile } from './io/file.node.ts'
export { saveDrawing, saveTrace } from './io/seeing.node.ts'
export { ioFailure, readWhole, writeWhole } from './io/whole-file.node.ts'
export { openProgram, saveProgram } from './program/file.node.ts'
export { CheckpointDirectory } from './train/checkpoint-directory.node.ts'
