/** What progress and pictures need of a terminal; `process.stdout` is one. */
export interface TerminalWriter {
  isTTY?: boolean | undefined
  columns?: number | undefined
  write(text: string): unknown
}

interface HostProcess {
  stdout?: TerminalWriter
  env?: Record<string, string | undefined>
}

const host = (): HostProcess | undefined => (globalThis as { process?: HostProcess }).process

/** The terminal of this process or, in a browser, its console line by line. */
export function defaultWriter(): TerminalWriter {
  // oxlint-disable-next-line no-console -- a browser has no other terminal
  return host()?.stdout ?? { write: (text) => console.log(text.replace(/\n$/, '')) }
}

/** Shows nothing. */
export const silent: TerminalWriter = { write: () => undefined }

/** Whether to colour: only on a terminal, unless NO_COLOR (https://no-color.org) or FORCE_COLOR say otherwise. */
export function colorAllowed(
  writer: TerminalWriter = defaultWriter(),
  env: Record<string, string | undefined> = host()?.env ?? {},
): boolean {
  if (env.NO_COLOR) return false
  if (env.FORCE_COLOR) return env.FORCE_COLOR !== '0'
  return Boolean(writer.isTTY) && env.TERM !== 'dumb'
}

const escapes = /\x1b\[[\d;]*[A-Za-z]/g
let segmenter: Intl.Segmenter | undefined
/** Made when it is needed: it takes longer than loading a tenth of the library. */
const graphemes = (text: string) => (segmenter ??= new Intl.Segmenter()).segment(text)
const wide =
  /^(?:\p{Emoji_Presentation}|.\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u
const invisible = /^[\p{Mark}\p{Control}\p{Format}]/u

const graphemeWidth = (grapheme: string): number => (invisible.test(grapheme) ? 0 : wide.test(grapheme) ? 2 : 1)

/** Columns that a line takes: colours none, Chinese, Japanese, Korean and emoji two a character. */
export function displayWidth(text: string): number {
  const plain = text.replace(escapes, '')
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length
  let width = 0
  for (const { segment } of graphemes(plain)) width += graphemeWidth(segment)
  return width
}

/** The start of a line without colours that fits into this many columns, ending in "…" where something was cut. */
export function fitWidth(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text
  let fitted = ''
  let width = 0
  for (const { segment } of graphemes(text)) {
    width += graphemeWidth(segment)
    if (width > columns - 1) break
    fitted += segment
  }
  return columns > 0 ? `${fitted}…` : ''
}

export const padStart = (text: string, columns: number): string => ' '.repeat(Math.max(0, columns - displayWidth(text))) + text
export const padEnd = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - displayWidth(text)))
