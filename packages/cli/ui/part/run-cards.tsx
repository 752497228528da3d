import type { ComponentChildren } from 'preact'
import type { RunSummary, Tag } from '../../src/board/protocol.ts'
import type { Kind } from '../../src/board/run-event.ts'
import { cardWidth, colorOf, tagFilter, filterTest, tagsOf, titleOf } from '../state.ts'
import { Card } from './card.tsx'
import { Filter, Slider } from './controls.tsx'
import { Empty } from './empty.tsx'
import { TagSections } from './section.tsx'

interface RunCardsProps {
  kinds: readonly Kind[]
  what: string
  /** Space that a card takes, in CSS pixels. */
  height: (tag: Tag) => number
  /** Further controls above the cards. */
  controls?: ComponentChildren
  children: (tag: Tag, run: RunSummary, wide: boolean) => ComponentChildren
}

/** One card for each tag of each run, for what cannot be laid over one another. */
export function RunCards({ kinds, what, height, controls, children }: RunCardsProps) {
  const tags = kinds.flatMap((kind) => tagsOf(kind))
  return (
    <>
      <div class="toolbar" role="group" aria-label={`Which ${what} are shown`}>
        <Filter label="Filter tags" state={tagFilter} isValid={filterTest(tagFilter.value) !== undefined} />
        {controls}
        <Slider
          label="Size"
          min={240}
          max={800}
          step={20}
          value={cardWidth.value}
          onInput={(v) => (cardWidth.value = v)}
          words={`${cardWidth.value}px`}
        />
      </div>
      {tags.length === 0 && <Empty what={what} />}
      <TagSections tags={tags}>
        {({ tag, runs }) =>
          runs.map((run) => (
            <Card
              key={`${tag.id} ${run.id}`}
              title={titleOf(tag)}
              note={
                <>
                  <i class="swatch" style={{ background: colorOf(run) }} /> {run.name}
                </>
              }
              label={`${titleOf(tag)} of ${run.name}`}
              height={height(tag)}
            >
              {(wide) => children(tag, run, wide)}
            </Card>
          ))
        }
      </TagSections>
    </>
  )
}
