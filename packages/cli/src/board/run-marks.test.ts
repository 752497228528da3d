import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { MarksFile, parseMarks } from './run-marks.ts'

const root = mkdtempSync(join(tmpdir(), 'cotangent-marks-'))
afterAll(() => rmSync(root, { recursive: true }))

test('marks say what is wrong with them', () => {
  const run = { name: 'Baseline', color: '#0072b2', note: 'the one to beat', pinned: true }
  expect(parseMarks(JSON.stringify({ runs: { 'a/b': run } }))).toEqual({ 'a/b': run })
  const cases: [text: string, words: RegExp][] = [
    ['{', /JSON/],
    ['[]', /no object "runs"/],
    ['{"runs": {"a": 1}}', /"a" is no object/],
    ['{"runs": {"a": {"colour": "#0072b2"}}}', /"colour", which is none of name, color/],
    ['{"runs": {"a": {"pinned": 1}}}', /pinned of "a" must be a boolean, not 1/],
    ['{"runs": {"a": {"color": "url(x)"}}}', /like #0072b2/],
  ]
  for (const [text, words] of cases) expect(() => parseMarks(text)).toThrow(words)
})

test('the file is followed: it comes, changes, breaks and goes', async () => {
  const file = new MarksFile(root)
  const path = join(root, 'board.json')
  expect([await file.refresh(), file.marks]).toEqual([false, {}])
  writeFileSync(path, '{"runs": {"a": {"name": "A"}}}')
  expect([await file.refresh(), file.marks]).toEqual([true, { a: { name: 'A' } }])
  expect(await file.refresh()).toBe(false)
  writeFileSync(path, '{"runs": {"a": {"name": 7}}}')
  expect([await file.refresh(), file.marks]).toEqual([true, {}])
  expect(file.problem).toMatch(/name of "a" must be a string/)
  rmSync(path)
  expect([await file.refresh(), file.marks, file.problem]).toEqual([true, {}, undefined])
})

test('a link that leads outside is not followed', async () => {
  const outside = mkdtempSync(join(tmpdir(), 'cotangent-outside-'))
  writeFileSync(join(outside, 'secret.json'), '{"runs": {"a": {"note": "secret"}}}')
  symlinkSync(join(outside, 'secret.json'), join(root, 'board.json'))
  const file = new MarksFile(root)
  expect([await file.refresh(), file.marks]).toEqual([true, {}])
  expect(file.problem).toMatch(/not under the folder/)
  rmSync(outside, { recursive: true })
})
