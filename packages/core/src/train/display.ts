import { CotangentError } from '../errors.ts'
import type { Callback } from './callback.ts'
import { JsonDisplay } from './display-json.ts'
import { LiveDisplay } from './display-live.ts'
import { PlainDisplay } from './display-plain.ts'
import { colorAllowed, defaultWriter, type TerminalWriter } from './terminal.ts'

const modes = ['auto', 'live', 'plain', 'json', 'quiet'] as const

/** `auto`: `live` on a terminal, else `plain` lines. `json`: an event a line. */
export type DisplayMode = (typeof modes)[number]

/** How a training is shown, where, and how often. */
export interface DisplayOptions {
  readonly mode?: DisplayMode
  readonly writer?: TerminalWriter
  readonly color?: boolean
  /** Seconds between two states of an epoch. Default: a tenth in the live display, 1 in JSON, 5 in plain lines. 0: each batch. */
  readonly every?: number
}

/** Shows a training in the terminal. A trainer makes one by itself: see its option `display`. */
export function displayOf(given: DisplayMode | DisplayOptions = 'auto'): Callback[] {
  const {
    mode = 'auto',
    writer = defaultWriter(),
    color = colorAllowed(writer),
    every,
  } = typeof given === 'string' ? { mode: given } : given
  const kind = mode === 'auto' ? (writer.isTTY ? 'live' : 'plain') : mode
  const options = { writer, color, ...(every !== undefined && { every }) }
  switch (kind) {
    case 'live':
      return [new LiveDisplay(options)]
    case 'plain':
      return [new PlainDisplay(options)]
    case 'json':
      return [new JsonDisplay(options)]
    case 'quiet':
      return []
    default:
      throw new CotangentError('invalid-argument', {
        op: 'fit',
        message: `display is ${String(mode)}`,
        hint: `It is one of ${modes.join(', ')}.`,
      })
  }
}
