/** An error that the server answered, as its problem says it (RFC 9457). */
export class Problem extends Error {
  readonly status: number
  /** What a program tests: one of the contract's codes; `unreachable` where there was no answer. */
  readonly code: string
  readonly detail: string | undefined
  readonly requestId: string | undefined

  constructor(
    status: number,
    body: { readonly code?: string; readonly detail?: string; readonly requestId?: string }
  ) {
    super(body.detail ?? body.code ?? `status ${status}`)
    this.status = status
    this.code = body.code ?? ""
    this.detail = body.detail
    this.requestId = body.requestId
  }

  /** From an answer's text, which a proxy between us may have written. */
  static parse(status: number, text: string): Problem {
    try {
      return new Problem(status, JSON.parse(text))
    } catch {
      return new Problem(status, {})
    }
  }
}
