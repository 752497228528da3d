import { oneOf, setting } from '../setting.ts'

const summaries = ['last', 'min', 'max'] as const

type SummaryName = (typeof summaries)[number]

/** Which value of a metric stands for the run. */
export const summary = setting<SummaryName>('summary', 'last', oneOf(summaries))

export const summaryChoices: readonly (readonly [SummaryName, string])[] = [
  ['last', 'Last'],
  ['min', 'Lowest'],
  ['max', 'Highest'],
]
