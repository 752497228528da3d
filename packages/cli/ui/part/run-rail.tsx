import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunSummary } from '../../src/board/protocol.ts'
import {
  chosenColors,
  clock,
  colorOf,
  filterTest,
  hidden,
  highlighted,
  matchedRuns,
  runFilter,
  runList,
  runOrder,
  show,
  showOnly,
  visibleRuns,
} from '../state.ts'
import { count, formatAge, formatDuration } from '../words.ts'
import { Filter } from './controls.tsx'

const rowHeight = 30
/** Rows beyond the edges that are there already when one scrolls. */
const margin = 8

/** All runs, to switch on and off. Only the rows in view exist. */
export function RunRail() {
  const list = useRef<HTMLUListElement>(null)
  const [view, setView] = useState({ top: 0, height: 600 })
  const [focused, setFocused] = useState(0)
  const runs = matchedRuns.value
  useEffect(() => {
    const measure = (): void => setView({ top: list.current!.scrollTop, height: list.current!.clientHeight })
    const observer = new ResizeObserver(measure)
    observer.observe(list.current!)
    return () => observer.disconnect()
  }, [])

  const first = Math.max(0, Math.floor(view.top / rowHeight) - margin)
  const last = Math.min(runs.length, Math.ceil((view.top + view.height) / rowHeight) + margin)
  const current = Math.min(focused, runs.length - 1)
  const focus = (index: number): void => {
    const next = Math.max(0, Math.min(runs.length - 1, index))
    const at = next * rowHeight
    const { current: box } = list
    if (at < box!.scrollTop) box!.scrollTop = at
    else if (at + rowHeight > box!.scrollTop + box!.clientHeight) box!.scrollTop = at + rowHeight - box!.clientHeight
    setFocused(next)
    // The row may only exist after the list has scrolled.
    requestAnimationFrame(() => requestAnimationFrame(() => box!.querySelector<HTMLElement>(`[data-index="${next}"] input`)?.focus()))
  }
  const page = Math.max(1, Math.floor(view.height / rowHeight) - 1)
  const moves: Record<string, () => void> = {
    ArrowDown: () => focus(current + 1),
    ArrowUp: () => focus(current - 1),
    PageDown: () => focus(current + page),
    PageUp: () => focus(current - page),
    Home: () => focus(0),
    End: () => focus(runs.length - 1),
    Enter: () => runs[current] && showOnly(runs[current].name),
  }
  const matched = runs.map(({ name }) => name)
  const on = visibleRuns.value.length
  return (
    <nav class="rail" id="rail" aria-label="Runs">
      <Filter label="Filter runs" state={runFilter} isValid={filterTest(runFilter.value) !== undefined} />
      <div class="rail-head">
        <span role="status">
          {on === runList.value.runs.length ? count(on, 'run') : `${on.toLocaleString('en')} of ${count(runList.value.runs.length, 'run')}`}
        </span>
        <label class="select">
          <span class="visually-hidden">Order of runs</span>
          <select
            class="quiet"
            value={runOrder.value}
            onChange={(event) => (runOrder.value = event.currentTarget.value as typeof runOrder.value)}
          >
            <option value="name">By name</option>
            <option value="newest">Newest first</option>
          </select>
        </label>
        <button type="button" class="quiet" onClick={() => show(matched, true)}>
          All
        </button>
        <button type="button" class="quiet" onClick={() => show(matched, false)}>
          None
        </button>
      </div>
      <ul
        ref={list}
        class="runs"
        aria-label="Runs; space switches one on or off, Enter shows it alone"
        onScroll={(event) => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}
        onKeyDown={(event) => {
          const move = (event.target as HTMLElement).matches('input[type=checkbox]') ? moves[event.key] : undefined
          if (!move) return
          event.preventDefault()
          move()
        }}
        onMouseLeave={() => (highlighted.value = undefined)}
      >
        <li role="presentation" style={{ height: `${first * rowHeight}px` }} />
        {runs.slice(first, last).map((run, i) => (
          <Row
            key={run.id}
            run={run}
            index={first + i}
            total={runs.length}
            isCurrent={first + i === current}
            onFocus={() => setFocused(first + i)}
          />
        ))}
        <li role="presentation" style={{ height: `${Math.max(0, runs.length - last) * rowHeight}px` }} />
      </ul>
    </nav>
  )
}

/** A run that wrote something in so many seconds, and has not ended, is going on. */
const goingSeconds = 120

interface RowProps {
  run: RunSummary
  index: number
  total: number
  isCurrent: boolean
  onFocus: () => void
}

function Row({ run, index, total, isCurrent, onFocus }: RowProps) {
  const on = !hidden.value.has(run.name)
  const problems = Object.entries(run.problems).map(([file, why]) => `${file}: ${why}`)
  const now = clock.value
  const age = run.updated === null ? 'no events yet' : `${formatAge(run.updated, now)}, ran ${formatDuration(run.updated - run.started!)}`
  const isGoing = run.updated !== null && now - run.updated < goingSeconds && run.status !== 'success' && run.status !== 'failure'
  return (
    <li
      class={highlighted.value === run.id ? 'run highlighted' : 'run'}
      data-index={index}
      aria-setsize={total}
      aria-posinset={index + 1}
      title={[run.name, age, ...problems].join('\n')}
      onMouseEnter={() => (highlighted.value = run.id)}
    >
      <label>
        <input type="checkbox" checked={on} tabIndex={isCurrent ? 0 : -1} onFocus={onFocus} onChange={() => show([run.name], !on)} />
        <i class="swatch" style={{ background: on ? colorOf(run) : 'transparent', borderColor: colorOf(run) }} />
        <span class="run-name">{run.name}</span>
      </label>
      {problems.length > 0 && (
        <span class="warning" role="img" aria-label={`Problem: ${problems.join('; ')}`}>
          !
        </span>
      )}
      {isGoing ? (
        <span class="going" role="img" aria-label="Going on" title="Something was written in the last two minutes" />
      ) : (
        run.updated !== null && <span class="faint age">{formatAge(run.updated, now).replace(' ago', '')}</span>
      )}
      {run.status === 'failure' && <span class="warning">failed</span>}
      <button type="button" class="quiet only" tabIndex={-1} onClick={() => showOnly(run.name)} aria-label={`Show ${run.name} alone`}>
        only
      </button>
      <input
        type="color"
        tabIndex={-1}
        aria-label={`Colour of ${run.name}`}
        title="Choose a colour"
        value={hexOf(colorOf(run))}
        onInput={(event) => (chosenColors.value = { ...chosenColors.value, [run.name]: event.currentTarget.value })}
      />
    </li>
  )
}

/** What a colour input takes; stored colours are its own. */
const hexOf = (color: string): string => (/^#[0-9a-f]{6}$/i.test(color) ? color : '#808080')
