// Adds up vitest's JSON reports: `tsx scripts/tally.ts FILE...`, one file a run. A test counts once, as passed if it passed in
// every run. The last line reads `N passed, N failed`, and the exit status says whether all was well.
import { readFileSync } from 'node:fs'
import { basename } from 'node:path'
import { type Report, tally } from './report.ts'

const reports = process.argv.slice(2).map((file) => {
  const report = JSON.parse(readFileSync(file, 'utf8')) as Report
  const { passed, failed, skipped } = tally([report])
  console.log(`${basename(file, '.json')}: ${passed} passed, ${failed} failed, ${skipped} skipped`)
  return report
})
const { passed, failed } = tally(reports)
console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed || !passed ? 1 : 0
