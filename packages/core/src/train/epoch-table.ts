import type { EpochRecord } from './history.ts'
import { directionOf, isBetter } from './metric-direction.ts'
import { evaluationName } from './metric-set.ts'
import { formatDuration, formatMetric } from './terminal-format.ts'
import { padStart } from './terminal.ts'

const leastColumn = 8

/** A table that gets a row for each epoch; what is the best so far is green. */
export class EpochTable {
  readonly #color: boolean
  #columns: readonly string[] = []
  #best: Record<string, number> = {}

  constructor({ color }: { readonly color: boolean }) {
    this.#color = color
  }

  /** The lines of one more epoch: a head above the first, and where there are other metrics than before. */
  add({ epoch, seconds, logs }: EpochRecord, columns: number): string[] {
    const names = fitting(Object.keys(logs), columns)
    const head = names.join() === this.#columns.join() ? [] : [this.#style(2, row('epoch', names, names, 'time'))]
    this.#columns = names
    const validates = names.some(isValidation)
    const cells = names.map((name) => this.#cell(name, logs[name]!, validates === isValidation(name)))
    return [...head, row(String(epoch), names, cells, formatDuration(1000 * seconds))]
  }

  #cell(name: string, value: number, watched: boolean): string {
    const before = this.#best[name]
    const better = isBetter(value, before ?? Number.NaN, directionOf(name))
    if (better) this.#best[name] = value
    return watched && better && before !== undefined ? this.#style(32, formatMetric(value)) : formatMetric(value)
  }

  #style(code: number, text: string): string {
    return this.#color ? `\x1b[${code}m${text}\x1b[0m` : text
  }
}

const isValidation = (name: string): boolean => /^val[A-Z]/.test(name)

const row = (first: string, names: readonly string[], cells: readonly string[], last: string): string =>
  [padStart(first, 5), ...cells.map((cell, i) => padStart(cell, widthOf(names[i]!))), padStart(last, leastColumn)].join('  ')

const widthOf = (name: string): number => Math.max(leastColumn, name.length)

/** Those that fit next to each other. The losses stay longest, then what validations give, and the same of the training. */
function fitting(names: readonly string[], columns: number): string[] {
  let left = columns - 5 - 2 - leastColumn
  const rank = (name: string) =>
    name === 'loss' ? 0 : name === 'valLoss' ? 1 : isValidation(name) ? 2 : names.includes(evaluationName(name)) ? 3 : 4
  const chosen = new Set(names.toSorted((a, b) => rank(a) - rank(b)).filter((name) => (left -= widthOf(name) + 2) >= 0))
  return names.filter((name) => chosen.has(name))
}
