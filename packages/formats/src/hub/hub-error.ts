import { CotangentError } from 'cotangent'

const hints: Readonly<Record<number, string>> = {
  401: 'If it is private or gated, give a token (https://huggingface.co/settings/tokens); otherwise check the name.',
  403: 'The token does not allow it: accept the terms on the page, or use a token that may read it.',
  404: 'Check the name, the kind (dataset, model or space), the revision and the path.',
  429: 'The hub wants fewer requests: wait, or give a token.',
}

/** The status of an answer of the hub; undefined where none came. */
function statusOf(cause: unknown): number | undefined {
  return cause instanceof Error && 'statusCode' in cause ? Number(cause.statusCode) : undefined
}

export function hubFailure(name: string, cause: unknown): CotangentError {
  if (cause instanceof CotangentError) return cause
  const reason = cause instanceof Error ? cause.message : String(cause)
  return new CotangentError('io-failure', {
    message: `${name} cannot be read: ${reason.replace(/\.$/, '')}`,
    hint: hints[statusOf(cause) ?? 0] ?? 'Check the connection, and whether the hub can be reached.',
    cause,
  })
}

/** Whether asking again may help: the connection broke, or the hub is busy. */
export function isPassing(cause: unknown): boolean {
  if (cause instanceof CotangentError) return false
  const status = statusOf(cause)
  return status === undefined || status === 429 || status >= 500
}
