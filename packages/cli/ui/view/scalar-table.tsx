import { fetchTable } from '../api.ts'
import { colorOf } from '../colors.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { useFetched } from '../part/use-fetched.ts'
import type { TagRuns } from '../shown-runs.ts'
import { titleOf } from '../state.ts'
import { formatValue } from '../words.ts'

/** What a chart shows, in numbers. */
export function ScalarTable({ tag, runs }: TagRuns) {
  const version = versionOf(runs.map(({ id }) => id))
  const { value: table } = useFetched((signal) => fetchTable({ tags: tag.id }, signal), String(tag.id), version)
  const metrics = new Map(table?.rows.map(({ run, metrics }) => [run, metrics[tag.id]]))
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label={`${titleOf(tag)} in numbers`}>
      <table class="data">
        <thead>
          <tr>
            <th scope="col">Run</th>
            <th scope="col">Last</th>
            <th scope="col">Lowest</th>
            <th scope="col">Highest</th>
            <th scope="col">Step</th>
          </tr>
        </thead>
        <tbody>
          {runs.map((run) => {
            const summary = metrics.get(run.id)
            return (
              <tr key={run.id}>
                <th scope="row">
                  <i class="swatch" style={{ background: colorOf(run) }} />
                  {nameOf(run)}
                </th>
                <td>{formatValue(summary?.last ?? null)}</td>
                <td>{formatValue(summary?.min ?? null)}</td>
                <td>{formatValue(summary?.max ?? null)}</td>
                <td>{formatValue(summary?.step ?? null)}</td>
              </tr>
            )
          })}
        </tbody>
      </table>
    </div>
  )
}
