import { type Condition, type ConditionOp, conditionOps } from '../condition.ts'
import { groupBy, groupKeys } from '../groups.ts'
import { conditions, runFilter, runOrder } from '../shown-runs.ts'
import { filterTest, runList } from '../state.ts'
import { Filter, Select } from './controls.tsx'
import { Menu } from './menu.tsx'

const opWords: Record<ConditionOp, string> = { '=': '=', '!=': '≠', '<': '<', '<=': '≤', '>': '>', '>=': '≥', '~': 'like' }

const orderWords = { name: 'By name', newest: 'Newest first' } as const

/** Which runs are listed, in which groups and order. */
export function RunFilters() {
  const names = [...new Set(runList.value.runs.flatMap(({ hparams }) => Object.keys(hparams ?? {})))]
  const set = (index: number, change: Partial<Condition>): void => {
    conditions.value = conditions.value.map((condition, i) => (i === index ? { ...condition, ...change } : condition))
  }
  return (
    <div class="run-filters">
      <Filter label="Filter runs" state={runFilter} isValid={filterTest(runFilter.value) !== undefined} />
      {conditions.value.map((condition, i) => (
        <ConditionRow
          // They have nothing but their place.
          key={i}
          condition={condition}
          names={names.includes(condition.key) ? names : [condition.key, ...names]}
          onChange={(change) => set(i, change)}
          onRemove={() => (conditions.value = conditions.value.filter((_, other) => other !== i))}
        />
      ))}
      <div class="run-tools">
        {names.length > 0 && (
          <button
            type="button"
            class="quiet"
            title="Keep only runs with a certain hyperparameter"
            onClick={() => (conditions.value = [...conditions.value, { key: names[0]!, op: '=', value: '' }])}
          >
            + Condition
          </button>
        )}
        <GroupMenu />
        <Select label="Order of runs" state={runOrder} words={orderWords} isQuiet />
      </div>
    </div>
  )
}

interface ConditionRowProps {
  condition: Condition
  names: readonly string[]
  onChange: (change: Partial<Condition>) => void
  onRemove: () => void
}

function ConditionRow({ condition: { key, op, value }, names, onChange, onRemove }: ConditionRowProps) {
  const values = new Set(runList.value.runs.map(({ hparams }) => hparams?.[key]).filter((found) => found !== undefined))
  const listId = `values-of-${key}`
  return (
    <div class="condition" role="group" aria-label={`Condition on ${key}`}>
      <select value={key} aria-label="Hyperparameter" onChange={(event) => onChange({ key: event.currentTarget.value })}>
        {names.map((name) => (
          <option key={name} value={name}>
            {name}
          </option>
        ))}
      </select>
      <select value={op} aria-label="Comparison" onChange={(event) => onChange({ op: event.currentTarget.value as ConditionOp })}>
        {conditionOps.map((each) => (
          <option key={each} value={each}>
            {opWords[each]}
          </option>
        ))}
      </select>
      <input
        type="text"
        list={listId}
        value={value}
        placeholder="value"
        aria-label="Value"
        spellcheck={false}
        onInput={(event) => onChange({ value: event.currentTarget.value })}
      />
      <datalist id={listId}>
        {[...values].slice(0, 50).map((found) => (
          <option key={String(found)} value={String(found)} />
        ))}
      </datalist>
      <button type="button" class="quiet" aria-label={`Remove the condition on ${key}`} onClick={onRemove}>
        ×
      </button>
    </div>
  )
}

function GroupMenu() {
  const chosen = groupBy.value
  return (
    <Menu
      isQuiet
      title="Show runs that are alike as one curve"
      summary={<>Group {chosen.length > 0 && <span class="badge">{chosen.length}</span>}</>}
    >
      {() => (
        <fieldset class="menu-list">
          <legend>Group runs by</legend>
          {groupKeys.value.map(({ key, title }) => (
            <label key={key} class="toggle">
              <input
                type="checkbox"
                checked={chosen.includes(key)}
                onChange={() => (groupBy.value = chosen.includes(key) ? chosen.filter((other) => other !== key) : [...chosen, key])}
              />
              {title} {key.startsWith('=') && <span class="faint">hyperparameter</span>}
            </label>
          ))}
        </fieldset>
      )}
    </Menu>
  )
}
