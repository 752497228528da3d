import type { FieldsOf } from '../protobuf/message.ts'
import { stringTensor } from './event-tensor.ts'
import { type Bins, countHistogram } from './histogram.ts'
import { dataClasses, type SummaryValue } from './schema.ts'
import { invalid, type Values } from './values.ts'

/** A summary without its tag. */
export type Summary = Omit<FieldsOf<typeof SummaryValue>, 'tag'>

/** Metadata that names the plugin that shows a value. */
export function plugin(pluginName: string, dataClass: keyof typeof dataClasses, content?: Uint8Array): Summary['metadata'] {
  return { pluginData: { pluginName, content }, dataClass: dataClasses[dataClass] }
}

export function scalarSummary(value: number): Summary {
  return { simpleValue: value, metadata: plugin('scalars', 'scalar') }
}

export function histogramSummary(values: Values, bins: Bins | undefined): Summary {
  return { histo: countHistogram(values, bins), metadata: plugin('histograms', 'tensor') }
}

/** A string, a list of them, or a table: rows of as many cells. */
export type TextInput = string | readonly string[] | readonly (readonly string[])[]

export function textSummary(text: TextInput): Summary {
  const metadata = plugin('text', 'tensor')
  if (typeof text === 'string') return { tensor: stringTensor([text], []), metadata }
  const [first] = text
  if (!Array.isArray(first)) return { tensor: stringTensor(text as readonly string[]), metadata }
  const rows = text as readonly (readonly string[])[]
  if (rows.some((row) => row.length !== first.length))
    throw invalid('text', 'the rows of the table differ in length', 'Fill them up with empty strings.')
  return { tensor: stringTensor(rows.flat(), [rows.length, first.length]), metadata }
}
