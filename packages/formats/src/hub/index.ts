export { type HubEntry, hubFile, hubFiles, type HubOptions } from './hub-file.ts'
