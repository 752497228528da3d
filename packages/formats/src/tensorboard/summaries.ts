import type { FieldsOf } from '../protobuf/message.ts'
import { dataClasses, type SummaryValue } from './schema.ts'

/** A summary without its tag. */
export type Summary = Omit<FieldsOf<typeof SummaryValue>, 'tag'>

/** Metadata that names the plugin that shows a value. */
function plugin(pluginName: string, dataClass: keyof typeof dataClasses, content?: Uint8Array): Summary['metadata'] {
  return { pluginData: { pluginName, content }, dataClass: dataClasses[dataClass] }
}

export function scalarSummary(value: number): Summary {
  return { simpleValue: value, metadata: plugin('scalars', 'scalar') }
}
