import type { Unit } from './case.ts'

/** One case, ours against one peer. `ratio` = peer / ours: above 1 we are faster (or smaller). Noises are IQR / median. */
export interface Row {
  suite: string
  name: string
  unit: Unit
  ours: number | null
  oursNoise: number | null
  peer: number | null
  peerNoise: number | null
  peerName: string | null
  ratio: number | null
  engine: string
  mode: 'eager' | 'compiled'
  threads: number | null
  peerThreads: number | null
  /** What the peer chose, such as a memory format. */
  note?: string
}

export interface Skip {
  suite: string
  name: string
  who: string
  reason: string
}

const styles = { bold: 1, dim: 2, red: 31, green: 32, yellow: 33 } as const

/** Prints one line a row, as soon as it is known; colours on a terminal only. */
export class Reporter {
  readonly #write: (text: string) => void
  readonly #colours: boolean
  #lastCase = ''

  constructor(write: (text: string) => void, colours: boolean) {
    this.#write = write
    this.#colours = colours
  }

  line(text = ''): void {
    this.#write(`${text}\n`)
  }

  dim(text: string): void {
    this.line(this.#style('dim', text))
  }

  suite(name: string): void {
    this.#lastCase = ''
    this.line()
    const cells = [name.padEnd(30), 'ours'.padStart(12), 'noise'.padStart(7), '  ', 'peer'.padEnd(20), 'peer time'.padStart(12)]
    this.line(this.#style('bold', [...cells, 'noise'.padStart(7), 'ratio'.padStart(9)].join('')))
  }

  row(row: Row): void {
    const first = row.name !== this.#lastCase
    this.#lastCase = row.name
    const peer = row.peerName ? `${row.peerName}${row.peerThreads ? ` ${row.peerThreads}t` : ''}` : '-'
    const cells = [
      (first ? row.name : '').padEnd(30),
      (first ? amount(row.ours, row.unit) : '').padStart(12),
      this.#noise(first ? row.oursNoise : null),
      '  ',
      peer.padEnd(20),
      amount(row.peer, row.unit).padStart(12),
      this.#noise(row.peerNoise),
      this.#ratio(row.ratio),
      row.note ? this.#style('dim', `  ${row.note}`) : '',
    ]
    this.line(cells.join('').trimEnd())
  }

  skip({ name, who, reason }: Skip): void {
    this.dim(`  ${name}: ${who} skipped: ${reason}`)
  }

  #noise(noise: number | null): string {
    if (noise === null) return ' '.repeat(7)
    const text = `${(noise * 100).toFixed(noise < 0.0995 ? 1 : 0)}%`.padStart(7)
    return this.#style(noise > 0.15 ? 'yellow' : 'dim', text)
  }

  #ratio(ratio: number | null): string {
    if (ratio === null) return '-'.padStart(9)
    return this.#style(ratio >= 1 ? 'green' : 'red', `${digits(ratio)}x`.padStart(9))
  }

  #style(style: keyof typeof styles, text: string): string {
    return this.#colours ? `\u001b[${styles[style]}m${text}\u001b[0m` : text
  }
}

function amount(value: number | null, unit: Unit): string {
  return value === null ? '-' : `${digits(value)} ${unit.padEnd(unit.endsWith('iB') ? 3 : 2)}`
}

function digits(value: number): string {
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(3)
}
