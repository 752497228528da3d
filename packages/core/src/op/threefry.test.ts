import { describe, expect, test } from 'vitest'
import { runProgram } from '../../test/engine.ts'
import { KernelBuilder } from '../engine/kernel.ts'
import { engineNamed, engineNames } from '../engines.ts'
import '../index.ts'
import { threefry } from './threefry.ts'

/** Threefry-2x32 with 13 rounds in plain JavaScript, written from the paper's section 4.2 without a look at the kernel's code. */
function plainThreefry([k0, k1]: readonly number[], [c0, c1]: readonly number[]): number[] {
  const schedule = [k0!, k1!, 0x1bd11bda ^ k0! ^ k1!]
  const rotations = [13, 15, 26, 6, 17, 29, 16, 24]
  let x = (c0! + k0!) >>> 0
  let y = (c1! + k1!) >>> 0
  for (let r = 1; r <= 13; r++) {
    x = (x + y) >>> 0
    const by = rotations[(r - 1) % 8]!
    y = (((y << by) | (y >>> (32 - by))) ^ x) >>> 0
    if (r % 4 === 0) {
      x = (x + schedule[(r / 4) % 3]!) >>> 0
      y = (y + schedule[(r / 4 + 1) % 3]! + r / 4) >>> 0
    }
  }
  return [x, y]
}

/** key, counter, result: the known answers that Random123 publishes (kat_vectors, threefry2x32 13). */
const known = [
  [
    [0, 0],
    [0, 0],
    [0x9d1c5ec6, 0x8bd50731],
  ],
  [
    [0xffffffff, 0xffffffff],
    [0xffffffff, 0xffffffff],
    [0xfd36d048, 0x2d17272c],
  ],
  [
    [0x13198a2e, 0x03707344],
    [0x243f6a88, 0x85a308d3],
    [0xba3e4725, 0xf27d669e],
  ],
] as const

test('the plain version gives the published answers', () => {
  for (const [key, counter, result] of known) expect(plainThreefry(key, counter)).toEqual(result)
})

describe.each(engineNames())('threefry on %s', (name) => {
  const run = (key: readonly number[], counter: readonly number[]) => {
    const k = new KernelBuilder('threefry', [])
    const [k0, k1, c0, c1] = Array.from({ length: 4 }, () => k.param('int32'))
    for (const word of threefry(k, [k0!, k1!], [c0!, c1!])) k.output('int32', word)
    return runProgram(
      engineNamed(name),
      k.build(),
      [],
      [...key, ...counter].map((w) => w | 0),
    ).map(([word]) => Number(word) >>> 0)
  }

  test.each(known)('key %j, counter %j', (key, counter, result) => {
    expect(run(key, counter)).toEqual(result)
  })

  test('agrees with the plain version on many counters', () => {
    for (let i = 0; i < 50; i++) {
      const [key, counter] = [
        [i * 2654435761, i],
        [i, i * 40503],
      ].map((words) => words.map((w) => w >>> 0))
      expect(run(key!, counter!)).toEqual(plainThreefry(key!, counter!))
    }
  })
})
