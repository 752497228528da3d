/** A request that cannot be served: the status, what was wrong, and what to do. */
export class BoardError extends Error {
  override readonly name = 'BoardError'
  readonly status: number
  readonly hint: string | undefined

  constructor(status: number, message: string, hint?: string) {
    super(message)
    this.status = status
    this.hint = hint
  }
}
