import type { RunSummary } from '../src/board/protocol.ts'

/** What a hyperparameter of a run must be. */
export interface Condition {
  key: string
  op: ConditionOp
  value: string
}

export const conditionOps = ['=', '!=', '<', '<=', '>', '>=', '~'] as const

export type ConditionOp = (typeof conditionOps)[number]

/** Does a run meet a condition? One that lacks the hyperparameter only meets `!=`. One whose value is still empty is met by all. */
export function meets({ hparams }: RunSummary, { key, op, value }: Condition): boolean {
  const wanted = value.trim()
  if (wanted === '') return true
  const found = hparams?.[key]
  if (found === undefined) return op === '!='
  const words = String(found).toLowerCase()
  switch (op) {
    case '=':
    case '!=':
      return (op === '=') === (typeof found === 'number' ? found === Number(wanted) : words === wanted.toLowerCase())
    case '~':
      return pattern(wanted)?.test(String(found)) ?? true
    default: {
      const [a, b] = [Number(found), Number(wanted)]
      return op === '<' ? a < b : op === '<=' ? a <= b : op === '>' ? a > b : a >= b
    }
  }
}

/** Half-written ones are none. */
function pattern(text: string): RegExp | undefined {
  try {
    return new RegExp(text, 'i')
  } catch {
    return undefined
  }
}

/** `lr>=0.01`. Signs are escaped where they would be read as the comparison. */
export const formatCondition = ({ key, op, value }: Condition): string =>
  `${key.replace(/[%=!<>~]/g, escape)}${op}${value.replace(/^[%=]/, escape)}`

/** Undefined for what is no condition. */
export function parseCondition(text: string): Condition | undefined {
  const [, key, op, value] = /^([^=!<>~]+)(!=|<=|>=|=|<|>|~)(.*)$/s.exec(text) ?? []
  if (key === undefined) return undefined
  return { key: key.replace(/%([0-9a-f]{2})/g, unescape), op: op as ConditionOp, value: value!.replace(/^%(25|3d)/, unescape) }
}

const escape = (sign: string): string => `%${sign.charCodeAt(0).toString(16)}`
const unescape = (_: string, code: string): string => String.fromCharCode(parseInt(code, 16))
