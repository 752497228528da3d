import { BoardError } from './board-error.ts'
import { parseIds } from './id-set.ts'

/** The parameters of a request, each checked as it is read. */
export class Query {
  readonly #params: URLSearchParams

  constructor(params: URLSearchParams) {
    this.#params = params
  }

  text(name: string): string {
    const value = this.#params.get(name)
    if (value === null) throw new BoardError(400, `the parameter ${name} is missing`)
    return value
  }

  /** A number in a range; without `otherwise` it must be there. */
  number(name: string, { from = -Infinity, to = Infinity, otherwise }: { from?: number; to?: number; otherwise?: number } = {}): number {
    const text = this.#params.get(name)
    if (text === null && otherwise !== undefined) return otherwise
    const value = text === null || text.trim() === '' ? NaN : Number(text)
    if (!(value >= from && value <= to))
      throw new BoardError(400, `${name} must be a number from ${from} to ${to}, not ${JSON.stringify(text)}`)
    return value
  }

  id(name: string): number {
    const value = this.number(name, { from: 0, to: 1e9 })
    if (!Number.isInteger(value)) throw new BoardError(400, `${name} must be a whole number, not ${value}`)
    return value
  }

  has(name: string): boolean {
    return this.#params.has(name)
  }

  ids(name: string): Set<number> {
    const text = this.text(name)
    const ids = parseIds(text)
    if (!ids) throw new BoardError(400, `${name} must be numbers and ranges like 0-9,12, not ${JSON.stringify(text)}`)
    return ids
  }

  /** Several sets of ids, apart by semicolons. */
  groups(name: string): Set<number>[] {
    const text = this.text(name)
    return text.split(';').map((part) => {
      const ids = parseIds(part)
      if (!ids) throw new BoardError(400, `${name} must be numbers and ranges like 0-9,12;10,11, not ${JSON.stringify(text)}`)
      return ids
    })
  }

  choice<T extends string>(name: string, choices: readonly T[]): T {
    const value = this.#params.get(name) ?? choices[0]!
    if (!choices.includes(value as T))
      throw new BoardError(400, `${name} must be one of ${choices.join(', ')}, not ${JSON.stringify(value)}`)
    return value as T
  }
}
