import { CotangentError, type ErrorCode } from 'cotangent'
import { expect } from 'vitest'

/** The error that `call` throws, which must be one of ours, with this code, a message like `message`, and a hint. */
export function expectError(call: () => unknown, code: ErrorCode, message: RegExp): CotangentError {
  let result: unknown
  try {
    result = call()
  } catch (error) {
    if (!(error instanceof CotangentError)) throw error
    expect(error.code, error.message).toBe(code)
    expect(error.message).toMatch(message)
    expect(error.hint, `hint of: ${error.message}`).toMatch(/[.!?]$/)
    return error
  }
  expect.fail(`no error, but ${String(result)}`)
}
