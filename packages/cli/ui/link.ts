import { effect, signal } from '@preact/signals'

/**
 * What the page shows stands in its address behind the `#`, so that an address that is copied shows the same elsewhere, and the one that is
 * reloaded the same again: `#scalars?axis=relative&group=lr`. Only what differs from the usual is named.
 */
interface Shared {
  /** Undefined while it is as usual. */
  text: () => string | undefined
  /** Takes what an address says; null is the usual. */
  apply: (text: string | null) => void
}

const shared = new Map<string, Shared>()

/** Without a question mark an address only says which view is open. */
function parts(): { view: string; params: URLSearchParams | undefined } {
  const [, view = '', , query] = /^#?([^?]*)(\?(.*))?$/s.exec(location.hash)!
  return { view, params: query === undefined ? undefined : new URLSearchParams(query) }
}

const first = parts()

/** The view that is open. */
export const openView = signal(first.view)

/** What the address of the page said when it was opened; null where it leaves something as usual, undefined where it says nothing at all. */
export const linkedText = (name: string): string | null | undefined => first.params && first.params.get(name)

export function shareInLink(name: string, state: Shared): void {
  shared.set(name, state)
}

/** What follows the question mark. */
function query(): string {
  const params = [...shared].flatMap(([name, { text }]): [string, string][] => {
    const value = text()
    return value === undefined ? [] : [[name, value]]
  })
  // Commas and slashes are at home in the last part of an address.
  return new URLSearchParams(params).toString().replaceAll('%2C', ',').replaceAll('%2F', '/').replaceAll('%3A', ':')
}

/** An address that shows everyone who opens it what is shown here. */
export function shareableLink(): string {
  const link = new URL(location.href)
  link.hash = `${openView.peek()}?${query()}`
  return link.href
}

/** Browsers refuse addresses that change at every move of a slider. */
const pause = 250

/** Keeps the address of the page to what is shown. To be called when all that is shared is known. */
export function followLink(): void {
  addEventListener('hashchange', () => {
    const { view, params } = parts()
    openView.value = view
    if (params) for (const [name, { apply }] of shared) apply(params.get(name))
  })
  let timer: ReturnType<typeof setTimeout> | undefined
  effect(() => {
    const text = query()
    const view = openView.value
    clearTimeout(timer)
    timer = setTimeout(() => {
      const hash = view === '' && text === '' ? '' : `#${view}${text && `?${text}`}`
      if (hash !== location.hash) history.replaceState(null, '', hash || location.pathname + location.search)
    }, pause)
  })
}
