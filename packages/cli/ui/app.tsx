import { effect } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { openView } from './link.ts'
import { Select } from './part/controls.tsx'
import { LinkButton } from './part/link-button.tsx'
import { RunDialog } from './part/run-dialog.tsx'
import { RunRail } from './part/run-rail.tsx'
import { failure, isLive, isReady, loading, railIsOpen, runList } from './state.ts'
import { type Theme, theme } from './theme.ts'
import { Compare } from './view/compare.tsx'
import { Curves } from './view/curves.tsx'
import { GraphView } from './view/graph.tsx'
import { Histograms } from './view/histograms.tsx'
import { HparamsView } from './view/hparams.tsx'
import { MediaView } from './view/media.tsx'
import { Profile } from './view/profile.tsx'
import { Scalars } from './view/scalars.tsx'
import { System } from './view/system.tsx'
import { Texts } from './view/texts.tsx'
import { formatBytes } from './words.ts'

const hasKind = (...kinds: string[]): boolean => runList.value.tags.some(({ kind }) => kinds.includes(kind))

/** Tabs by what the address says after `#`. Those that have nothing to show are left out, but for the first and the last. */
const tabs = [
  { name: 'scalars', title: 'Scalars', view: Scalars, has: () => true },
  { name: 'histograms', title: 'Histograms', view: Histograms, has: () => hasKind('histogram') },
  { name: 'media', title: 'Media', view: MediaView, has: () => hasKind('image', 'audio') },
  { name: 'text', title: 'Text', view: Texts, has: () => hasKind('text') },
  { name: 'hparams', title: 'Hyperparameters', view: HparamsView, has: () => runList.value.runs.some(({ hparams }) => hparams) },
  { name: 'compare', title: 'Compare', view: Compare, has: () => runList.value.runs.length > 1 },
  { name: 'curves', title: 'PR curves', view: Curves, has: () => hasKind('curve') },
  { name: 'graph', title: 'Graph', view: GraphView, has: () => runList.value.runs.some(({ graph }) => graph) },
  { name: 'profile', title: 'Profile', view: Profile, has: () => runList.value.traces.length > 0 || hasKind('profile') },
  { name: 'system', title: 'System', view: System, has: () => true },
] as const

effect(() => {
  const folder = runList.value.folder.split(/[/\\]/).at(-1)
  document.title = folder ? `${folder} · Cotangent board` : 'Cotangent board'
})

export function App() {
  const shown = tabs.filter((tab) => tab.has())
  const current = shown.find(({ name }) => name === openView.value) ?? shown[0]!
  const View = current.view
  return (
    <>
      <a class="skip" href={`#${current.name}`} onClick={() => document.getElementById('view')!.focus()}>
        Skip to the plots
      </a>
      <Header />
      <div class={railIsOpen.value ? 'columns' : 'columns closed'}>
        {railIsOpen.value && <RunRail />}
        <div class="content">
          <TabBar shown={shown} current={current.name} />
          {[failure.value, runList.value.marksProblem].map(
            (problem) =>
              problem && (
                <p class="error" role="alert" key={problem}>
                  {problem}
                </p>
              ),
          )}
          <main id="view" class="view" tabIndex={-1} aria-label={current.title} key={current.name} aria-busy={!isReady.value}>
            <View />
          </main>
        </div>
      </div>
      <RunDialog />
    </>
  )
}

function TabBar({ shown, current }: { shown: readonly (typeof tabs)[number][]; current: string }) {
  const open = (index: number): void => {
    const tab = shown.at(index % shown.length)!
    location.hash = tab.name
    document.getElementById(`tab-${tab.name}`)!.focus()
  }
  useEffect(() => document.getElementById(`tab-${current}`)?.scrollIntoView({ block: 'nearest', inline: 'nearest' }), [current])
  const at = shown.findIndex(({ name }) => name === current)
  const moves: Record<string, () => void> = {
    ArrowRight: () => open(at + 1),
    ArrowLeft: () => open(at - 1),
    Home: () => open(0),
    End: () => open(-1),
  }
  return (
    <nav class="tabs" aria-label="Views">
      <ul
        onKeyDown={(event) => {
          if (!moves[event.key]) return
          event.preventDefault()
          moves[event.key]!()
        }}
      >
        {shown.map(({ name, title }) => (
          <li key={name}>
            <a id={`tab-${name}`} href={`#${name}`} aria-current={name === current ? 'page' : undefined}>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}

const themeWords: Record<Theme, string> = { system: 'Auto', light: 'Light', dark: 'Dark' }

function Header() {
  const { found, read } = loading.value
  const isLoading = read < found
  return (
    <header class="top">
      <button
        type="button"
        class="quiet menu"
        aria-expanded={railIsOpen.value}
        aria-controls="rail"
        aria-label="List of runs"
        onClick={() => (railIsOpen.value = !railIsOpen.value)}
      >
        <span aria-hidden="true">☰</span>
      </button>
      <h1>
        <svg viewBox="0 0 32 32" aria-hidden="true">
          <path d="M3 8c7 0 8 16 14 16s6-7 12-7" />
        </svg>
        Cotangent <span class="faint">board</span>
      </h1>
      <span class="folder faint" title={runList.value.folder}>
        {runList.value.folder}
      </span>
      {isLoading && (
        <span class="loading">
          <progress max={found} value={read} aria-label="Reading event files" />
          <span class="faint">
            {formatBytes(read)} of {formatBytes(found)}
          </span>
        </span>
      )}
      <span class={isLive.value ? 'live on' : 'live'} role="status">
        {isLive.value ? 'Live' : 'Not connected'}
      </span>
      <LinkButton />
      <Select label="Colours of the page" state={theme} words={themeWords} />
    </header>
  )
}
