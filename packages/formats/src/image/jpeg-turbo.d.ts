/** What is used of @julusian/jpeg-turbo, which is an optional peer: its own types are not there where it is not. */
declare module '@julusian/jpeg-turbo' {
  const FORMAT_RGB: number
  const FORMAT_RGBA: number
  function decompressSync(
    file: Uint8Array,
    pixels: Uint8Array,
    options: { format: number },
  ): { data: Uint8Array; width: number; height: number }
}
