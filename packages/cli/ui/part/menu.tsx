import type { ComponentChildren } from 'preact'
import { useEffect, useRef, useState } from 'preact/hooks'

interface MenuProps {
  /** What the button says. */
  summary: ComponentChildren
  /** What it is called aloud, where the button says too little. */
  label?: string
  title?: string
  /** Does it look like the small buttons of cards? */
  isQuiet?: boolean
  /** The edge that it shares with its button. */
  align?: 'left' | 'right'
  children: (close: () => void) => ComponentChildren
}

/** A box that opens below a button, and closes when one clicks or goes elsewhere. */
export function Menu({ summary, label, title, isQuiet = false, align = 'left', children }: MenuProps) {
  const root = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const [open, setOpen] = useState(false)
  useEffect(() => {
    if (!open) return undefined
    const leave = ({ target }: Event): void => {
      if (!root.current!.contains(target as Node)) setOpen(false)
    }
    for (const type of ['pointerdown', 'focusin']) document.addEventListener(type, leave)
    return () => {
      for (const type of ['pointerdown', 'focusin']) document.removeEventListener(type, leave)
    }
  }, [open])
  return (
    <div
      class="popup"
      ref={root}
      onKeyDown={(event) => {
        if (event.key !== 'Escape' || !open) return
        event.stopPropagation()
        setOpen(false)
        button.current!.focus()
      }}
    >
      <button
        type="button"
        ref={button}
        class={isQuiet ? 'quiet' : 'opens'}
        aria-expanded={open}
        aria-label={label}
        title={title}
        onClick={() => setOpen(!open)}
      >
        {summary}
      </button>
      {open && <div class={`popup-box ${align}`}>{children(() => setOpen(false))}</div>}
    </div>
  )
}
