import type { ComponentChildren } from 'preact'
import { useState } from 'preact/hooks'
import type { TagRuns } from '../shown-runs.ts'
import { cardWidth } from '../state.ts'

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

/** Tags in sections by what comes before their first slash. Those that would have a section of their own come together, at the end. */
export function TagSections({ tags, children }: { tags: readonly TagRuns[]; children: (tag: TagRuns) => ComponentChildren }) {
  const groups = new Map<string, TagRuns[]>()
  for (const tag of tags) {
    const name = /^.[^/]*(?=\/)/.exec(tag.tag.name)?.[0] ?? ''
    groups.set(name, [...(groups.get(name) ?? []), tag])
  }
  const isSection = ([name, members]: [string, TagRuns[]]): boolean => name !== '' && members.length > 1
  const sections = [...groups].filter(isSection)
  const loose = [...groups].filter((group) => !isSection(group)).flatMap(([, members]) => members)
  if (loose.length > 0) sections.push([sections.length > 0 ? 'Other' : 'All', loose])
  return (
    <>
      {sections.map(([name, members]) => (
        <Section key={name} title={name} count={members.length}>
          {() => members.map(children)}
        </Section>
      ))}
    </>
  )
}
