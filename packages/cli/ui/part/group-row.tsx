import { colorOfGroup, groupColors } from '../colors.ts'
import { fold, type RunGroup, unfolded } from '../groups.ts'
import { isOn, show, showOnly } from '../shown-runs.ts'
import { highlighted } from '../state.ts'
import { count } from '../words.ts'
import { LongName } from './long-name.tsx'
import { RowColor } from './row-color.tsx'
import type { RowPlace } from './run-row.tsx'

export function GroupRow({ group, index, total, isCurrent, onFocus }: RowPlace & { group: RunGroup }) {
  const { id, title, runs } = group
  const on = runs.filter(isOn).length
  const isOpen = unfolded.value.has(title)
  const color = colorOfGroup(group)
  return (
    <li
      class={highlighted.value === id ? 'run group highlighted' : 'run group'}
      data-index={index}
      aria-setsize={total}
      aria-posinset={index + 1}
      title={`${title}\n${count(runs.length, 'run')}`}
      onMouseEnter={() => (highlighted.value = id)}
    >
      <button
        type="button"
        class="quiet fold-group"
        tabIndex={-1}
        aria-expanded={isOpen}
        aria-label={`Runs with ${title}`}
        onClick={() => fold(group, !isOpen)}
      >
        <span aria-hidden="true" class="arrow" />
      </button>
      <label>
        <input
          type="checkbox"
          checked={on === runs.length}
          indeterminate={on > 0 && on < runs.length}
          tabIndex={isCurrent ? 0 : -1}
          onFocus={onFocus}
          onChange={() => show(runs, on < runs.length)}
        />
        <i class="swatch" style={{ background: on > 0 ? color : 'transparent', borderColor: color }} />
        <LongName>{title}</LongName>
      </label>
      <span class="badge">{on < runs.length ? `${on} of ${runs.length}` : runs.length}</span>
      <span class="row-actions">
        <button type="button" class="quiet" tabIndex={-1} onClick={() => showOnly(runs)} aria-label={`Show ${title} alone`}>
          only
        </button>
      </span>
      <RowColor of={title} color={color} onChoose={(chosen) => (groupColors.value = { ...groupColors.value, [title]: chosen })} />
    </li>
  )
}
