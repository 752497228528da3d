import { CotangentError } from '../../errors.ts'
import type { Callback } from '../callback.ts'
import type { Training } from '../training.ts'

/** What the machine costs, and how much a training may cost. */
export interface CostOptions {
  /** What an hour of the machine costs. */
  readonly pricePerHour: number
  /** For lines that are shown: three letters (ISO 4217). Default USD. */
  readonly currency?: string
  /** Ends the training when it has cost this much. */
  readonly limit?: number
}

/** What a training costs: adds `cost`, that of the run so far, to the logs, and shows after the first epoch what the run will come to. */
export class Cost implements Callback {
  readonly #pricePerSecond: number
  readonly #format: (amount: number) => string
  readonly #limit: number
  #epochs: number[] = []
  #total = 0
  #estimate: number | undefined

  /** @throws {CotangentError} `invalid-argument` for a price or currency that is none. */
  constructor({ pricePerHour, currency = 'USD', limit = Number.POSITIVE_INFINITY }: CostOptions) {
    if (!(pricePerHour >= 0)) {
      throw new CotangentError('invalid-argument', {
        op: 'Cost',
        message: `pricePerHour is ${pricePerHour}`,
        hint: 'It is a price of at least 0.',
      })
    }
    this.#pricePerSecond = pricePerHour / 3600
    this.#limit = limit
    if (!/^[a-z]{3}$/i.test(currency)) {
      throw new CotangentError('invalid-argument', {
        op: 'Cost',
        message: `currency is ${currency}`,
        hint: "It has three letters, such as 'EUR'.",
      })
    }
    const digits = new Intl.NumberFormat('en-US', { style: 'currency', currency, maximumSignificantDigits: 3 })
    this.#format = (amount) => digits.format(amount)
  }

  /** Of the run so far. */
  get total(): number {
    return this.#total
  }

  /** Of each epoch in this `fit`, validation included. */
  get epochs(): readonly number[] {
    return this.#epochs
  }

  /** Of the whole run, as far as it went evenly; undefined where its length is not known. */
  get estimate(): number | undefined {
    return this.#estimate
  }

  onFitStart(): void {
    this.#epochs = []
  }

  onBatchEnd(training: Training): void {
    this.#total = training.seconds * this.#pricePerSecond
    if (this.#total >= this.#limit) training.stop(`it has cost ${this.#format(this.#total)}`)
  }

  onEpochEnd(training: Training): void {
    this.#total = training.seconds * this.#pricePerSecond
    this.#epochs.push(training.epochSeconds * this.#pricePerSecond)
    this.#estimate = training.progress ? this.#total / training.progress : undefined
    training.log('cost', this.#total)
    if (this.#epochs.length > 1 || this.#estimate === undefined) return
    training.write(`an epoch costs ${this.#format(this.#epochs[0]!)}, the whole run about ${this.#format(this.#estimate)}`)
  }
}
