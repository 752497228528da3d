import { describe, expect, it } from 'vitest'
import { confusionMatrixTable, drawImage, sideBySide } from './terminal-art.ts'
import { displayWidth } from './terminal.ts'

const fg = (n: number) => `\x1b[38;2;${n};${n};${n}m`
const bg = (n: number) => `\x1b[48;2;${n};${n};${n}m`

describe('drawImage', () => {
  it('puts two pixel rows into a line of half blocks', () => {
    expect(drawImage([0, 255, 255, 0], 2, 2, { color: true })).toBe(`${fg(0)}${bg(255)}▀${fg(255)}${bg(0)}▀\x1b[0m`)
  })

  it('repeats no colour and leaves the lower half of an odd last row free', () => {
    expect(drawImage([1, 1, 0, 0, 1, 1], 2, 3, { color: true })).toBe(`${fg(255)}${bg(0)}▀▀\x1b[0m\n${fg(255)}▀▀\x1b[0m`)
  })

  it('uses characters from dark to light without colour', () => {
    const pixels = Array.from({ length: 10 }, (_, i) => i / 9)
    expect(drawImage(pixels, 10, 1, { color: false })).toBe(' .:-=+*#%@')
    expect(drawImage([0, 1, 1, 1], 2, 2, { color: false })).toBe('+@')
  })

  it('scales by the picture or by a range', () => {
    expect(drawImage(new Float32Array([-0.4242, 2.8215]), 2, 1, { color: false })).toBe(' @')
    expect(drawImage([10, 300], 2, 1, { color: false, range: [0, 255] })).toBe(' @')
    expect(drawImage([7, 7], 2, 1, { color: false })).toBe('  ')
    expect(drawImage([Number.NaN, 1, 0], 3, 1, { color: false, range: [0, 1] })).toBe(' @ ')
  })

  it('refuses another number of pixels', () => {
    expect(() => drawImage([1, 2, 3], 2, 2)).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
  })
})

it('puts blocks of different heights and with colours side by side', () => {
  expect(sideBySide(['ab\nc', '\x1b[1mx\x1b[0m\n名\nz', 'q'])).toBe('ab  \x1b[1mx\x1b[0m   q\nc   名\n    z')
  expect(sideBySide([])).toBe('')
})

describe('confusionMatrixTable', () => {
  const counts = [
    [98, 2, 0],
    [0, 45, 5],
    [0, 0, 0],
  ]

  it('shows counts, recall and precision', () => {
    expect(confusionMatrixTable(counts, ['cat', 'dog', 'cow'], { color: false })).toBe(
      [
        'true \\ predicted │    cat   dog  cow │ recall',
        '─────────────────┼───────────────────┼───────',
        'cat              │     98     2    · │  98.0%',
        'dog              │      ·    45    5 │  90.0%',
        'cow              │      ·     ·    · │      –',
        '─────────────────┼───────────────────┼───────',
        'precision        │ 100.0% 95.7% 0.0% │',
      ].join('\n'),
    )
  })

  it('has the same columns in colour, right answers green and mistakes red', () => {
    const labels = ['猫', 'dog', '🐄']
    const plain = confusionMatrixTable(counts, labels, { color: false }).split('\n')
    const colored = confusionMatrixTable(counts, labels, { color: true }).split('\n')
    expect(colored.map(displayWidth)).toEqual(plain.map(displayWidth))
    expect(new Set(plain.slice(0, -1).map(displayWidth)).size).toBe(1)
    expect(colored[2]).toMatch(/\x1b\[48;2;0;\d+;0m\x1b\[97m +98\x1b\[0m\x1b\[48;2;\d+;0;0m\x1b\[97m +2\x1b\[0m +· │/)
  })

  it('numbers classes by default and refuses what is not square', () => {
    expect(confusionMatrixTable([[1]], undefined, { color: false })).toContain('0                │      1 │ 100.0%')
    expect(() => confusionMatrixTable([[1, 2]])).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
    expect(() => confusionMatrixTable([[1]], ['a', 'b'])).toThrow(expect.objectContaining({ code: 'shape-mismatch' }))
  })
})
