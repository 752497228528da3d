import { CotangentError, Tensor } from 'cotangent'
import { AudioPluginData } from './schema.ts'
import { plugin, type Summary } from './summary.ts'
import { invalid, numbersOf, type Values } from './values.ts'
import { encodeWav } from './wav.ts'

const wavEncoding = 11

/** @param samples In [-1, 1]: a tensor `[frames]` or `[channels, frames]`, or an array of frames. */
export function audioSummary(samples: Values, sampleRate: number): Summary {
  if (!Number.isInteger(sampleRate) || sampleRate < 1) throw invalid('audio', `sampleRate is ${sampleRate}`, 'It is in frames a second.')
  const channels = channelsOf(samples)
  const content = AudioPluginData.encode({ encoding: wavEncoding })
  return {
    audio: {
      sampleRate,
      numChannels: channels.length,
      lengthFrames: channels[0]!.length,
      encoded: encodeWav(channels, sampleRate),
      contentType: 'audio/wav',
    },
    metadata: plugin('audio', 'blobSequence', content),
  }
}

function channelsOf(samples: Values): ArrayLike<number>[] {
  const numbers = numbersOf(samples)
  if (!(samples instanceof Tensor) || samples.rank === 1) return [numbers]
  const [channels, frames] = samples.shape as readonly [number, number]
  if (samples.rank !== 2 || channels < 1 || channels > 0xffff) {
    throw new CotangentError('shape-mismatch', {
      op: 'audio',
      message: 'audio has shape [frames] or [channels, frames]',
      shapes: [samples.shape],
      hint: 'Transpose or flatten it.',
    })
  }
  return Array.from({ length: channels }, (_, c) => Array.prototype.slice.call(numbers, c * frames, (c + 1) * frames) as number[])
}
