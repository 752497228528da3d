import type { ComponentChildren } from 'preact'
import { useRef, useState } from 'preact/hooks'
import { useSeen } from './use-element.ts'

interface CardProps {
  title: string
  /** Under the title, small. */
  note?: ComponentChildren
  /** What it is called aloud, where the title alone says too little. */
  label?: string
  /** Space that the card takes while it is not on the screen, in CSS pixels. */
  height: number
  actions?: ComponentChildren
  /** Made only while the card is near the screen. */
  children: (wide: boolean) => ComponentChildren
}

/** A titled box in a grid, which can be widened to the whole row. */
export function Card({ title, note, label = title, height, actions, children }: CardProps) {
  const root = useRef<HTMLElement>(null)
  const seen = useSeen(root)
  const [wide, setWide] = useState(false)
  return (
    <article class={wide ? 'card wide' : 'card'} ref={root} aria-label={label}>
      <header>
        <h3 title={title}>{title}</h3>
        {note && <span class="faint note">{note}</span>}
        <div class="actions">
          {actions}
          <button
            type="button"
            class="quiet"
            aria-pressed={wide}
            onClick={() => setWide(!wide)}
            title={wide ? 'Narrow' : 'Widen'}
            aria-label={`Widen ${label}`}
          >
            {wide ? '⤡' : '⤢'}
          </button>
        </div>
      </header>
      <div class="card-body" style={{ minHeight: `${height}px` }}>
        {seen && children(wide)}
      </div>
    </article>
  )
}
