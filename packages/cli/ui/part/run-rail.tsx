import { computed } from '@preact/signals'
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunSummary } from '../../src/board/protocol.ts'
import { fold, groups, type RunGroup, unfolded } from '../groups.ts'
import { mark, markOf } from '../marks.ts'
import { matchedRuns, show, showAll, showOnly, visibleRuns } from '../shown-runs.ts'
import { detailed, highlighted, runList } from '../state.ts'
import { count } from '../words.ts'
import { GroupRow } from './group-row.tsx'
import { RunFilters } from './run-filters.tsx'
import { RunRow } from './run-row.tsx'

const rowHeight = 30
/** Rows beyond the edges that are there already when one scrolls. */
const margin = 8

type Item = { group: RunGroup; run?: undefined } | { run: RunSummary; group?: undefined }

/** Groups with the runs of those that are unfolded, or all runs. */
const items = computed((): Item[] =>
  groups.value
    ? groups.value.flatMap((group): Item[] => [{ group }, ...(unfolded.value.has(group.title) ? group.runs.map((run) => ({ run })) : [])])
    : matchedRuns.value.map((run) => ({ run })),
)

/** All runs, to switch on and off. Only the rows in view exist. */
export function RunRail() {
  const list = useRef<HTMLUListElement>(null)
  const [view, setView] = useState({ top: 0, height: 600 })
  const [focused, setFocused] = useState(0)
  const all = items.value
  useEffect(() => {
    const measure = (): void => setView({ top: list.current!.scrollTop, height: list.current!.clientHeight })
    const observer = new ResizeObserver(measure)
    observer.observe(list.current!)
    return () => observer.disconnect()
  }, [])

  const first = Math.max(0, Math.floor(view.top / rowHeight) - margin)
  const last = Math.min(all.length, Math.ceil((view.top + view.height) / rowHeight) + margin)
  const current = Math.min(focused, all.length - 1)
  const focus = (index: number): void => {
    const next = Math.max(0, Math.min(all.length - 1, index))
    const at = next * rowHeight
    const { current: box } = list
    if (at < box!.scrollTop) box!.scrollTop = at
    else if (at + rowHeight > box!.scrollTop + box!.clientHeight) box!.scrollTop = at + rowHeight - box!.clientHeight
    setFocused(next)
    // The row may only exist after the list has scrolled.
    requestAnimationFrame(() => requestAnimationFrame(() => box!.querySelector<HTMLElement>(`[data-index="${next}"] input`)?.focus()))
  }
  const page = Math.max(1, Math.floor(view.height / rowHeight) - 1)
  const { run, group } = all[current] ?? {}
  const moves: Record<string, () => void> = {
    ArrowDown: () => focus(current + 1),
    ArrowUp: () => focus(current - 1),
    PageDown: () => focus(current + page),
    PageUp: () => focus(current - page),
    Home: () => focus(0),
    End: () => focus(all.length - 1),
    Enter: () => (run || group) && showOnly(group?.runs ?? [run!]),
    ...(group && { ArrowRight: () => fold(group, true), ArrowLeft: () => fold(group, false) }),
    ...(run && { F2: () => (detailed.value = run.id), p: () => mark(run, { pinned: !markOf(run).pinned }) }),
  }
  const on = visibleRuns.value.length
  const total = runList.value.runs.length
  const isFiltered = matchedRuns.value.length < total
  return (
    <nav class="rail" id="rail" aria-label="Runs">
      <RunFilters />
      <div class="rail-head">
        <span role="status">
          {on === total ? count(on, 'run') : `${on.toLocaleString('en')} of ${count(total, 'run')}`}
          {groups.value && `, ${count(groups.value.length, 'group')}`}
        </span>
        {([true, false] as const).map((isAll) => (
          <button
            key={String(isAll)}
            type="button"
            class="quiet"
            // Of runs that are filtered away nothing changes.
            onClick={() => (isFiltered ? show(matchedRuns.value, isAll) : showAll(isAll))}
          >
            {isAll ? 'All' : 'None'}
          </button>
        ))}
      </div>
      <ul
        ref={list}
        class="runs"
        aria-label="Runs; space switches one on or off, Enter shows it alone, F2 opens its details, P pins it; arrows open and close groups"
        onScroll={(event) => setView({ top: event.currentTarget.scrollTop, height: event.currentTarget.clientHeight })}
        onKeyDown={(event) => {
          const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey
          const move = isPlain && (event.target as HTMLElement).matches('input[type=checkbox]') ? moves[event.key] : undefined
          if (!move) return
          event.preventDefault()
          move()
        }}
        onMouseLeave={() => (highlighted.value = undefined)}
      >
        <li role="presentation" style={{ height: `${first * rowHeight}px` }} />
        {all.slice(first, last).map((item, i) => {
          const place = { index: first + i, total: all.length, isCurrent: first + i === current, onFocus: () => setFocused(first + i) }
          return item.group ? (
            <GroupRow key={item.group.id} group={item.group} {...place} />
          ) : (
            <RunRow key={item.run.id} run={item.run} isInGroup={groups.value !== undefined} {...place} />
          )
        })}
        <li role="presentation" style={{ height: `${Math.max(0, all.length - last) * rowHeight}px` }} />
      </ul>
    </nav>
  )
}
