import { useEffect, useRef } from 'preact/hooks'
import type { RunSummary } from '../../src/board/protocol.ts'
import { colorOf, hexOf } from '../colors.ts'
import { openView } from '../link.ts'
import { mark, markOf, marksText, nameOf } from '../marks.ts'
import { saveFile } from '../plot/save-file.ts'
import { detailed, runsById } from '../state.ts'
import { compared, comparedRuns } from '../view/compare.tsx'
import { count, formatCell, formatDuration, formatTime } from '../words.ts'

/** What there is to know of a run, and what people say of it. */
export function RunDialog() {
  const run = detailed.value === undefined ? undefined : runsById.value.get(detailed.value)
  return run ? <Details key={run.id} run={run} /> : null
}

const close = (): void => (detailed.value = undefined)

function Details({ run }: { run: RunSummary }) {
  const dialog = useRef<HTMLDialogElement>(null)
  useEffect(() => {
    const before = document.activeElement
    dialog.current!.showModal()
    return () => (before as HTMLElement | null)?.focus()
  }, [])
  const { name = '', note = '', pinned = false, color } = markOf(run)
  const hparams = Object.entries(run.hparams ?? {})
  const facts: [string, string][] = [
    ['Folder', run.name],
    ['State', stateWords(run)],
    ['Began', run.started === null ? '–' : formatTime(run.started)],
    ['Ran', run.started === null ? '–' : formatDuration(run.updated! - run.started)],
    ['Scalars', count(run.points, 'point')],
  ]
  const compare = (): void => {
    const others = comparedRuns.value.map((each) => each.name).filter((each) => each !== run.name)
    compared.value = [run.name, ...(compared.value.length > 0 ? others : others.slice(0, 1))]
    openView.value = 'compare'
    close()
  }
  return (
    <dialog
      class="details-dialog"
      ref={dialog}
      aria-label={`Details of ${nameOf(run)}`}
      onClose={close}
      onClick={(event) => event.target === event.currentTarget && close()}
    >
      <div>
        <header>
          <i class="swatch" style={{ background: colorOf(run) }} />
          <h2>{nameOf(run)}</h2>
          <button type="button" class="quiet" aria-label="Close" onClick={close}>
            ×
          </button>
        </header>
        <div class="fields">
          <label>
            Name
            <input
              type="text"
              autofocus
              value={name}
              placeholder={run.name}
              spellcheck={false}
              onInput={(event) => mark(run, { name: event.currentTarget.value })}
            />
          </label>
          <label>
            Note
            <textarea
              rows={3}
              value={note}
              placeholder="What was tried, and what came of it"
              onInput={(event) => mark(run, { note: event.currentTarget.value })}
            />
          </label>
          <div class="row">
            <label class="toggle">
              <input type="color" value={hexOf(colorOf(run))} onInput={(event) => mark(run, { color: event.currentTarget.value })} />
              Colour
            </label>
            {color && (
              <button type="button" class="quiet" onClick={() => mark(run, { color: '' })}>
                Usual colour
              </button>
            )}
            <label class="toggle">
              <input type="checkbox" checked={pinned} onChange={() => mark(run, { pinned: !pinned })} />
              Pinned to the top
            </label>
            <button type="button" onClick={compare}>
              Compare
            </button>
          </div>
        </div>
        <dl class="facts">
          {facts.map(([term, words]) => (
            <div key={term}>
              <dt>{term}</dt>
              <dd>{words}</dd>
            </div>
          ))}
        </dl>
        {hparams.length > 0 && (
          <div class="scroll" tabIndex={0} role="region" aria-label="Hyperparameters">
            <table class="data">
              <thead>
                <tr>
                  <th scope="col">Hyperparameter</th>
                  <th scope="col">Value</th>
                </tr>
              </thead>
              <tbody>
                {hparams.map(([key, value]) => (
                  <tr key={key}>
                    <th scope="row">{key}</th>
                    <td>{formatCell(value)}</td>
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )}
        <footer>
          <span class="faint">
            Names, colours and notes stay in this browser. Put a board.json into the folder for everyone to see them.
          </span>
          <button type="button" onClick={() => saveFile('board.json', new Blob([marksText()], { type: 'application/json' }))}>
            Save board.json
          </button>
        </footer>
      </div>
    </dialog>
  )
}

/** How a run ended, or that it has not. */
function stateWords({ status, problems }: RunSummary): string {
  const state = { success: 'Finished', failure: 'Failed', running: 'Going on', unknown: 'Not said' }[status]
  const named = Object.entries(problems).map(([file, why]) => `${file}: ${why}`)
  return [state, ...named].join('; ')
}
