// `@cotangent/formats/image` in Node, by sharp.
export type { BytesLike, ByteSource } from 'cotangent/data'
export type { PathOrBytes } from '../path-bytes.node.ts'
export { decodeImage, encodeImage } from './codec.node.ts'
export { ImageFolder, type ImageFolderOptions, type LabelledImage } from './image-folder.node.ts'
export type { Channels, DecodeOptions, EncodeOptions } from './pixels.ts'
