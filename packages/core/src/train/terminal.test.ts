import { expect, it } from 'vitest'
import { colorAllowed, displayWidth, fitWidth, padEnd, padStart } from './terminal.ts'

it.each([
  ['', 0],
  ['epoch 1/5', 9],
  ['\x1b[38;2;1;2;3mred\x1b[0m', 3],
  ['名前', 4],
  ['한글', 4],
  ['é', 1],
  ['e\u0301', 1],
  ['🎉', 2],
  ['👩‍💻', 2],
  ['❤️', 2],
  ['━╸─▀', 4],
  ['a\u200db', 2],
])('%j takes %i columns', (text, columns) => {
  expect(displayWidth(text)).toBe(columns)
})

it('cuts at a column without splitting a character', () => {
  expect(fitWidth('abcdef', 6)).toBe('abcdef')
  expect(fitWidth('abcdef', 4)).toBe('abc…')
  expect(fitWidth('名前名前', 4)).toBe('名…')
  expect(fitWidth('👩‍💻👩‍💻', 3)).toBe('👩‍💻…')
  expect(fitWidth('abc', 1)).toBe('…')
  expect(fitWidth('abc', 0)).toBe('')
})

it('pads by columns, not by characters', () => {
  expect(padStart('名', 4)).toBe('  名')
  expect(padEnd('\x1b[1mx\x1b[0m', 3)).toBe('\x1b[1mx\x1b[0m  ')
  expect(padEnd('long', 2)).toBe('long')
})

it('colours terminals only, unless the environment says otherwise', () => {
  const write = () => {}
  expect(colorAllowed({ isTTY: true, write }, {})).toBe(true)
  expect(colorAllowed({ write }, {})).toBe(false)
  expect(colorAllowed({ isTTY: true, write }, { TERM: 'dumb' })).toBe(false)
  expect(colorAllowed({ isTTY: true, write }, { NO_COLOR: '1' })).toBe(false)
  expect(colorAllowed({ isTTY: true, write }, { NO_COLOR: '', FORCE_COLOR: '0' })).toBe(false)
  expect(colorAllowed({ write }, { FORCE_COLOR: '1' })).toBe(true)
  expect(colorAllowed({ write }, { FORCE_COLOR: '1', NO_COLOR: '1' })).toBe(false)
})
