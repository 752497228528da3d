import { describe, expect, test } from 'vitest'
import { CotangentError } from '../errors.ts'
import { pickToken } from './pick-token.ts'

const logits = Float32Array.from([1, 3, 2, 0], (p) => Math.log(p || 1e-30))

/** How often each token is picked by evenly spaced draws. */
function shares(options: Parameters<typeof pickToken>[2], of = logits): number[] {
  const counts = new Array<number>(of.length).fill(0)
  for (let i = 0; i < 6000; i++) counts[pickToken(of, (i + 0.5) / 6000, options)]!++
  return counts.map((n) => n / 6000)
}

describe('pickToken', () => {
  test('follows the distribution', () => {
    expect(shares({})).toEqual([1 / 6, 0.5, 2 / 6, 0])
  })

  test('at a temperature', () => {
    const powers = [1, 9, 4].map((p) => p / 14)
    shares({ temperature: 0.5 }).forEach((share, i) => expect(share).toBeCloseTo(powers[i] ?? 0, 3))
  })

  test('among the likeliest', () => {
    expect(shares({ topK: 1 })).toEqual([0, 1, 0, 0])
    expect(shares({ topK: 2 })).toEqual([0, 0.6, 0.4, 0])
    expect(shares({ topK: 99 })).toEqual([1 / 6, 0.5, 2 / 6, 0])
  })

  test('among the fewest that have a probability', () => {
    expect(shares({ topP: 0.4 })).toEqual([0, 1, 0, 0])
    expect(shares({ topP: 0.6 })).toEqual([0, 0.6, 0.4, 0])
    // The share counts within the likeliest two.
    expect(shares({ topK: 2, topP: 0.55 })).toEqual([0, 1, 0, 0])
  })

  test('never what is impossible, whatever the draw', () => {
    const some = Float32Array.of(Number.NEGATIVE_INFINITY, 5, Number.NEGATIVE_INFINITY, 5, Number.NEGATIVE_INFINITY)
    expect([0, 0.499, 0.501, 1 - 2 ** -24].map((draw) => pickToken(some, draw))).toEqual([1, 1, 3, 3])
  })

  test.each([
    [{ temperature: 0 }, 'temperature is 0'],
    [{ temperature: Number.NaN }, 'temperature is NaN'],
    [{ topK: 0 }, 'topK is 0'],
    [{ topK: 1.5 }, 'topK is 1.5'],
    [{ topP: 0 }, 'topP is 0'],
    [{ topP: 1.1 }, 'topP is 1.1'],
  ])('refuses %o', (options, message) => {
    expect(() => pickToken(logits, 0.5, options)).toThrow(message)
  })

  test('refuses logits that are no numbers', () => {
    expect(() => pickToken(Float32Array.of(1, Number.NaN), 0.5)).toThrow(CotangentError)
    expect(() => pickToken(Float32Array.of(Number.NEGATIVE_INFINITY), 0.5)).toThrow('-Infinity')
  })
})
