import { sep } from 'node:path'

/** The part of vitest's JSON report that we read. */
export interface Report {
  testResults: { name: string; status: string; assertionResults: { fullName: string; status: string }[] }[]
}

interface Tally {
  passed: number
  failed: number
  skipped: number
}

/**
 * Counts each test once over all reports: failed if it failed anywhere, else passed if it ran anywhere. A file that failed
 * without a failing test (it did not load, or left an error behind) counts as one failure.
 */
export function tally(reports: readonly Report[]): Tally {
  const outcomes = new Map<string, string>()
  const rank = ['skipped', 'passed', 'failed']
  for (const { testResults } of reports) {
    for (const file of testResults) {
      const seen = new Map<string, number>()
      const results = file.assertionResults.map(({ fullName, status }) => {
        // Tests of one file may share a name; the n-th of a name is the same test in each run.
        const nth = (seen.get(fullName) ?? 0) + 1
        seen.set(fullName, nth)
        return { name: `${fullName} #${nth}`, status: rank.includes(status) ? status : 'skipped' }
      })
      if (file.status === 'failed' && !results.some((r) => r.status === 'failed')) results.push({ name: 'the file', status: 'failed' })
      for (const { name, status } of results) {
        const key = `${file.name.split(sep).join('/')} ${name}`
        if (rank.indexOf(status) > rank.indexOf(outcomes.get(key) ?? '')) outcomes.set(key, status)
      }
    }
  }
  const count = (status: string) => [...outcomes.values()].filter((s) => s === status).length
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') }
}
