/**
 * Samples in [-1, 1] as a WAV file of 16-bit PCM ("Multimedia Programming Interface and Data Specifications 1.0", RIFF). What is outside is
 * cut off.
 *
 * @param samples One list a channel, all equally long.
 * @param sampleRate Frames a second.
 */
export function encodeWav(samples: readonly ArrayLike<number>[], sampleRate: number): Uint8Array<ArrayBuffer> {
  const channels = samples.length
  const frames = samples[0]?.length ?? 0
  const bytes = new Uint8Array(44 + frames * channels * 2)
  const view = new DataView(bytes.buffer)
  const word = (at: number, text: string) => bytes.set(new TextEncoder().encode(text), at)
  word(0, 'RIFF')
  view.setUint32(4, bytes.length - 8, true)
  word(8, 'WAVEfmt ')
  view.setUint32(16, 16, true)
  view.setUint16(20, 1, true)
  view.setUint16(22, channels, true)
  view.setUint32(24, sampleRate, true)
  view.setUint32(28, sampleRate * channels * 2, true)
  view.setUint16(32, channels * 2, true)
  view.setUint16(34, 16, true)
  word(36, 'data')
  view.setUint32(40, bytes.length - 44, true)
  let at = 44
  for (let frame = 0; frame < frames; frame++) {
    for (let channel = 0; channel < channels; channel++, at += 2) {
      const sample = Math.min(Math.max(samples[channel]![frame]!, -1), 1)
      view.setInt16(at, Math.round(sample * 32767), true)
    }
  }
  return bytes
}
