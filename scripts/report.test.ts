import { expect, it } from 'vitest'
import { type Report, tally } from './report.ts'

const report = (name: string, status: string, ...tests: [fullName: string, status: string][]): Report => ({
  testResults: [{ name, status, assertionResults: tests.map(([fullName, s]) => ({ fullName, status: s })) }],
})

it('counts a test once over several runs, and the worst of them', () => {
  const first = report('a.test.ts', 'passed', ['adds', 'passed'], ['adds', 'passed'], ['divides', 'passed'], ['waits', 'pending'])
  const second = report('a.test.ts', 'failed', ['adds', 'passed'], ['adds', 'passed'], ['divides', 'failed'], ['waits', 'skipped'])
  expect(tally([first])).toEqual({ passed: 3, failed: 0, skipped: 1 })
  expect(tally([first, second])).toEqual({ passed: 2, failed: 1, skipped: 1 })
})

it('counts a file that did not load as a failure', () => {
  expect(tally([report('a.test.ts', 'failed'), report('b.test.ts', 'passed', ['adds', 'passed'])])).toEqual({
    passed: 1,
    failed: 1,
    skipped: 0,
  })
})
