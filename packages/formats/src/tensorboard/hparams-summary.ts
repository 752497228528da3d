import type { FieldsOf } from '../protobuf/message.ts'
import { floatTensor } from './event-tensor.ts'
import type { HParamValue } from './event.ts'
import { HParamsPluginData, hparamTypes, sessionStatus } from './schema.ts'
import { plugin, type Summary } from './summary.ts'
import { invalid } from './values.ts'

/** Hyperparameters by name. */
export type HParams = Readonly<Record<string, HParamValue>>

type Content = FieldsOf<typeof HParamsPluginData>

/** TensorBoard knows the three records of the plugin by these names. */
export const experimentTag = '_hparams_/experiment'
export const sessionStartTag = '_hparams_/session_start_info'
export const sessionEndTag = '_hparams_/session_end_info'

/** What there is to vary, and which scalars tell how well it went. */
export function experimentSummary(values: HParams, metrics: readonly string[], now: number): Summary {
  const hparamInfos = Object.entries(values).map(([name, value]) => ({ name, type: typeOf(name, value) }))
  return summary({ experiment: { timeCreatedSecs: now, hparamInfos, metricInfos: metrics.map((tag) => ({ name: { tag } })) } })
}

export function sessionStartSummary(values: HParams, group: string | undefined, now: number): Summary {
  const hparams = new Map(
    Object.entries(values).map(([name, value]) => [
      name,
      typeof value === 'number' ? { numberValue: value } : typeof value === 'string' ? { stringValue: value } : { boolValue: value },
    ]),
  )
  return summary({ sessionStartInfo: { hparams, groupName: group, startTimeSecs: now } })
}

export function sessionEndSummary(status: keyof typeof sessionStatus, now: number): Summary {
  return summary({ sessionEndInfo: { status: sessionStatus[status], endTimeSecs: now } })
}

function summary(content: Content): Summary {
  // The plugin wants a tensor, and nothing in it.
  const tensor = floatTensor(new Float32Array(0), [0])
  return { tensor, metadata: plugin('hparams', 'tensor', HParamsPluginData.encode({ version: 0, ...content })) }
}

function typeOf(name: string, value: HParamValue): number {
  if (typeof value === 'number') return hparamTypes.float64
  if (typeof value === 'string') return hparamTypes.string
  if (typeof value === 'boolean') return hparamTypes.bool
  throw invalid(
    'hparams',
    `${name} is a ${value === null ? 'null' : typeof value}`,
    'Hyperparameters are numbers, strings or booleans: String(...) keeps any other.',
  )
}
