import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import { cardWidth, type TagRuns } from '../state.ts'

/** Groups of this many cards and fewer are open from the start. */
const most = 400

interface SectionProps {
  title: string
  count: number
  children: () => ComponentChildren
}

/** A part of a page that folds away. */
function Section({ title, count, children }: SectionProps) {
  const [open, setOpen] = useState(count <= most)
  return (
    <section class="section" aria-label={title}>
      <h2>
        <button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
          <span aria-hidden="true" class="arrow" />
          {title} <span class="badge">{count}</span>
        </button>
      </h2>
      {open && (
        <div class="grid" style={{ '--card': `${cardWidth.value}px` }}>
          {children()}
        </div>
      )}
    </section>
  )
}

/** Tags in sections by what comes before their first slash. */
export function TagSections({ tags, children }: { tags: readonly TagRuns[]; children: (tag: TagRuns) => ComponentChildren }) {
  const groups = new Map<string, TagRuns[]>()
  for (const tag of tags) {
    const slash = tag.tag.name.indexOf('/')
    const group = slash > 0 ? tag.tag.name.slice(0, slash) : ''
    groups.set(group, [...(groups.get(group) ?? []), tag])
  }
  return (
    <>
      {[...groups].map(([name, members]) => (
        <Section key={name} title={name || 'General'} count={members.length}>
          {() => members.map(children)}
        </Section>
      ))}
    </>
  )
}
