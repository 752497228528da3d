import type { ComponentChildren } from 'preact'
import type { RunSummary, Tag } from '../../src/board/protocol.ts'
import type { Kind } from '../../src/board/run-event.ts'
import { colorOf } from '../colors.ts'
import { nameOf } from '../marks.ts'
import { tagsOf } from '../shown-runs.ts'
import { titleOf } from '../state.ts'
import { Card } from './card.tsx'
import { TagCards } from './tag-cards.tsx'

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
    <TagCards tags={tags} what={what} label={`Which ${what} are shown`} controls={controls}>
      {({ tag, runs }) =>
        runs.map((run) => (
          <Card
            key={`${tag.id} ${run.id}`}
            title={titleOf(tag)}
            note={
              <>
                <i class="swatch" style={{ background: colorOf(run) }} /> {nameOf(run)}
              </>
            }
            label={`${titleOf(tag)} of ${nameOf(run)}`}
            height={height(tag)}
          >
            {(wide) => children(tag, run, wide)}
          </Card>
        ))
      }
    </TagCards>
  )
}
