import { displayWidth, type TerminalWriter } from './terminal.ts'

/**
 * Lines at the bottom of a terminal that are drawn again and again in place, with lines written above them that stay. Each change
 * is one write, in which nothing can be seen half drawn.
 */
export class LiveRegion {
  readonly #writer: TerminalWriter
  #drawn: readonly string[] = []

  constructor(writer: TerminalWriter) {
    this.#writer = writer
  }

  /** Columns that a line may have: the last one stays free, because terminals may wrap when it is filled. */
  get columns(): number {
    return (this.#writer.columns || 80) - 1
  }

  draw(lines: readonly string[]): void {
    this.#write([], lines)
  }

  /** Writes lines above, which scroll away in time. */
  print(lines: readonly string[]): void {
    this.#write(lines, this.#drawn)
  }

  /** Lines that stay, and the region anew. */
  printAndDraw(lines: readonly string[], region: readonly string[]): void {
    this.#write(lines, region)
  }

  /** Takes the lines away. */
  clear(): void {
    if (this.#drawn.length > 0) this.#write([], [])
  }

  #write(above: readonly string[], lines: readonly string[]): void {
    // A window that has become narrower has wrapped what was drawn before.
    const rows = this.#drawn.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(displayWidth(line) / Math.max(1, this.#writer.columns || 80))),
      0,
    )
    const up = rows > 0 ? `\x1b[${rows}F` : ''
    this.#drawn = lines
    this.#writer.write(`${up}\x1b[J${[...above, ...lines].map((line) => `${line}\n`).join('')}`)
  }
}
