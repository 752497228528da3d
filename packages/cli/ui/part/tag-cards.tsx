import type { ComponentChildren } from 'preact'
import type { TagRuns } from '../shown-runs.ts'
import { cardWidth, filterTest, tagFilter } from '../state.ts'
import { Filter, Slider } from './controls.tsx'
import { Empty } from './empty.tsx'
import { TagSections } from './section.tsx'

interface TagCardsProps {
  tags: readonly TagRuns[]
  what: string
  /** Of the controls above the cards. */
  label: string
  /** Further controls. */
  controls?: ComponentChildren
  /** The cards of one tag. */
  children: (tag: TagRuns) => ComponentChildren
}

/** Cards for tags, in sections, with what filters and sizes them above. */
export function TagCards({ tags, what, label, controls, children }: TagCardsProps) {
  return (
    <>
      <div class="toolbar" role="group" aria-label={label}>
        <Filter label="Filter tags" state={tagFilter} isValid={filterTest(tagFilter.value) !== undefined} />
        {controls}
        <Slider
          label="Size"
          min={240}
          max={800}
          step={20}
          value={cardWidth.value}
          onInput={(v) => (cardWidth.value = v)}
          words={`${cardWidth.value} pixels`}
          isQuiet
        />
      </div>
      {tags.length === 0 && <Empty what={what} />}
      <TagSections tags={tags}>{children}</TagSections>
    </>
  )
}
