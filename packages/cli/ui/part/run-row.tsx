import { useComputed } from '@preact/signals'
import type { RunSummary } from '../../src/board/protocol.ts'
import { colorOf } from '../colors.ts'
import { mark, markOf, nameOf } from '../marks.ts'
import { isOn, show, showOnly } from '../shown-runs.ts'
import { clock, detailed, highlighted } from '../state.ts'
import { formatAge, formatDuration } from '../words.ts'
import { LongName } from './long-name.tsx'
import { RowColor } from './row-color.tsx'

/** Where a row stands in the list of runs. */
export interface RowPlace {
  index: number
  total: number
  isCurrent: boolean
  onFocus: () => void
}

/** A run that wrote something in so many seconds, and has not ended, is going on. */
const goingSeconds = 120

export function RunRow({ run, isInGroup, index, total, isCurrent, onFocus }: RowPlace & { run: RunSummary; isInGroup: boolean }) {
  const on = isOn(run)
  const isHighlighted = useComputed(() => highlighted.value === run.id)
  const name = nameOf(run)
  const { note, pinned } = markOf(run)
  const problems = Object.entries(run.problems).map(([file, why]) => `${file}: ${why}`)
  const now = clock.value
  const age = run.updated === null ? 'no events yet' : `${formatAge(run.updated, now)}, ran ${formatDuration(run.updated - run.started!)}`
  const isGoing = run.updated !== null && now - run.updated < goingSeconds && run.status !== 'success' && run.status !== 'failure'
  const classes = ['run', isHighlighted.value && 'highlighted', isInGroup && 'in-group'].filter(Boolean).join(' ')
  return (
    <li
      class={classes}
      data-index={index}
      aria-setsize={total}
      aria-posinset={index + 1}
      title={[name, name !== run.name && run.name, age, note && `\n${note}`, ...problems].filter(Boolean).join('\n')}
      onMouseEnter={() => (highlighted.value = run.id)}
    >
      <label>
        <input type="checkbox" checked={on} tabIndex={isCurrent ? 0 : -1} onFocus={onFocus} onChange={() => show([run], !on)} />
        <i class="swatch" style={{ background: on ? colorOf(run) : 'transparent', borderColor: colorOf(run) }} />
        <LongName>{name}</LongName>
      </label>
      {note && <span class="faint sign" role="img" aria-label={`Note: ${note}`} children="✎" />}
      {pinned && <span class="sign pin" role="img" aria-label="Pinned" children="★" />}
      {problems.length > 0 && (
        <span class="warning" role="img" aria-label={`Problem: ${problems.join('; ')}`}>
          !
        </span>
      )}
      {isGoing ? (
        <span class="going" role="img" aria-label="Going on" title="Something was written in the last two minutes" />
      ) : (
        run.updated !== null && <span class="faint age">{formatAge(run.updated, now).replace(/ ago|just /, '')}</span>
      )}
      {run.status === 'failure' && <span class="warning">failed</span>}
      <span class="row-actions">
        <button type="button" class="quiet" tabIndex={-1} onClick={() => showOnly([run])} aria-label={`Show ${name} alone`}>
          only
        </button>
        <button
          type="button"
          class="quiet"
          tabIndex={-1}
          onClick={() => (detailed.value = run.id)}
          title="Name, colour, note and settings (F2)"
          aria-label={`Details of ${name}`}
        >
          ⋯
        </button>
      </span>
      <RowColor of={name} color={colorOf(run)} onChoose={(color) => mark(run, { color })} />
    </li>
  )
}
