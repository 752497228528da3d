import { signal } from '@preact/signals'
import { useMemo } from 'preact/hooks'
import type { Slice } from '../../src/board/run-event.ts'
import { fetchProfiles, fetchSlices, fetchTrace } from '../api.ts'
import { versionOf } from '../live.ts'
import { nameOf } from '../marks.ts'
import { Empty } from '../part/empty.tsx'
import { StepSlider, useMoment } from '../part/step-slider.tsx'
import { useFetched } from '../part/use-fetched.ts'
import { FlameChart, milliseconds } from '../plot/flame-chart.tsx'
import { nest, slicesOf, totals } from '../plot/flame.ts'
import { tagsOf } from '../shown-runs.ts'
import { runList, titleOf } from '../state.ts'
import { count } from '../words.ts'

/** A profile in a run's events, or a trace in a file beside them. */
type Source = { key: string; title: string } & ({ tag: number; run: number } | { path: string })

const chosenKey = signal('')
const search = signal('')

/** Rows of the table of totals. */
const most = 200

export function Profile() {
  const sources: Source[] = [
    ...tagsOf('profile').flatMap(({ tag, runs }) =>
      runs.map((run) => ({ key: `${tag.id} ${run.id}`, title: `${nameOf(run)}: ${titleOf(tag)}`, tag: tag.id, run: run.id })),
    ),
    ...runList.value.traces.map((path) => ({ key: path, title: path, path })),
  ]
  const source = sources.find(({ key }) => key === chosenKey.value) ?? sources[0]
  if (!source) return <Empty what="profiles" />
  return (
    <>
      <div class="toolbar" role="group" aria-label="Which profile is shown">
        <label class="select">
          Profile
          <select value={source.key} onChange={(event) => (chosenKey.value = event.currentTarget.value)}>
            {sources.map(({ key, title }) => (
              <option key={key} value={key}>
                {title}
              </option>
            ))}
          </select>
        </label>
        <input
          type="search"
          class="filter"
          placeholder="Find slices"
          aria-label="Find slices by name"
          value={search.value}
          onInput={(event) => (search.value = event.currentTarget.value)}
        />
      </div>
      {'path' in source ? (
        <TraceFile key={source.key} path={source.path} />
      ) : (
        <RunProfile key={source.key} tag={source.tag} run={source.run} />
      )}
    </>
  )
}

function TraceFile({ path }: { path: string }) {
  const { value: slices, error } = useFetched(async (signal) => slicesOf(await fetchTrace({ path }, signal)), path, 0)
  if (error !== undefined) return <p class="error">{error}</p>
  return slices ? <Flames slices={slices} /> : <p class="empty">Reading the trace…</p>
}

function RunProfile({ tag, run }: { tag: number; run: number }) {
  const { value: list, error: listError } = useFetched((signal) => fetchProfiles({ tag, run }, signal), '', versionOf([run]))
  const [index, choose] = useMoment(list?.moments)
  const step = list?.moments[index]?.step
  const { value: reply, error = listError } = useFetched(
    (signal) => fetchSlices({ tag, run, step }, signal),
    String(step),
    0,
    step !== undefined,
  )
  if (error !== undefined) return <p class="error">{error}</p>
  return (
    <>
      {list && <StepSlider moments={list.moments} index={index} onInput={choose} seen={list.seen} />}
      {reply && <Flames slices={reply.slices} />}
    </>
  )
}

function Flames({ slices }: { slices: readonly Slice[] }) {
  const chart = useMemo(() => nest(slices), [slices])
  const rows = useMemo(() => totals(chart), [chart])
  const found = rows.filter(({ name }) => name.toLowerCase().includes(search.value.toLowerCase()))
  const all = rows.reduce((sum, { self }) => sum + self, 0)
  const hasKinds = rows.some(({ kind }) => kind !== '')
  return (
    <>
      <div class="card flame-card">
        <FlameChart chart={chart} search={search.value} />
      </div>
      <div class="scroll tall" tabIndex={0} role="region" aria-label="Totals by name">
        <table class="data framed">
          <caption class="visually-hidden">
            {count(slices.length, 'slice')}, {count(rows.length, 'name')}
          </caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              {hasKinds && <th scope="col">Kind</th>}
              <th scope="col">Calls</th>
              <th scope="col" title="Without what lies in it">
                Self
              </th>
              <th scope="col" title="With what lies in it">
                Total
              </th>
              <th scope="col" title="Of all time in the profile, by self time">
                Share
              </th>
            </tr>
          </thead>
          <tbody>
            {found.slice(0, most).map(({ name, kind, calls, self, ms }) => (
              <tr key={`${kind} ${name}`}>
                <th scope="row">{name}</th>
                {hasKinds && <td class="faint">{kind}</td>}
                <td>{calls.toLocaleString('en')}</td>
                <td>{milliseconds(self)}</td>
                <td>{milliseconds(ms)}</td>
                <td>
                  <span class="share" style={{ '--share': all > 0 ? self / all : 0 }}>
                    <span>{all > 0 ? `${((100 * self) / all).toFixed(1)}%` : '–'}</span>
                  </span>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
