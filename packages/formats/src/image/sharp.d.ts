/** What is used of sharp, which is an optional peer: its own types are not there where it is not. */
declare module 'sharp' {
  interface Sharp {
    autoOrient(): Sharp
    toColourspace(space: string): Sharp
    removeAlpha(): Sharp
    ensureAlpha(): Sharp
    raw(options?: { depth: 'uchar' }): Sharp
    png(): Sharp
    jpeg(options: { quality: number }): Sharp
    webp(options: { quality: number }): Sharp
    toBuffer(): Promise<Uint8Array>
    toBuffer(options: { resolveWithObject: true }): Promise<{ data: Uint8Array; info: { width: number; height: number; channels: number } }>
  }
  interface Raw {
    readonly width: number
    readonly height: number
    readonly channels: 1 | 2 | 3 | 4
  }
  function sharp(input: Uint8Array, options?: { failOn?: 'error'; limitInputPixels?: number; raw?: Raw }): Sharp
  // oxlint-disable-next-line import/no-default-export -- as it is
  export default sharp
}
