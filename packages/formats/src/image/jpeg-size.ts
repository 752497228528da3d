/** Width and height of a JPEG picture (ITU-T T.81, annex B); undefined where the bytes are none, or have no frame. */
export function jpegSize(file: Uint8Array): { width: number; height: number } | undefined {
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength)
  if (file.length < 4 || view.getUint16(0) !== 0xffd8) return undefined
  for (let at = 2; at + 9 <= file.length;) {
    if (file[at] !== 0xff) return undefined
    const marker = file[at + 1]!
    if (marker === 0xff) {
      at++
      continue
    }
    // Frames of all kinds, but not the tables among their numbers.
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) }
    at += 2 + view.getUint16(at + 2)
  }
  return undefined
}
