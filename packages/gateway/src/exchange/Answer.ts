import type { ServerResponse } from "node:http"
import type { ResponseHead } from "../http/ResponseHead.ts"

/** Below it a body is written together with its head, as one string: one write, no gathering. */
const joinBytes = 16 * 1024

/**
 * An edge's answer on its way to the browser. Its head waits for the first of the body, to go out with it: until then a
 * problem of ours can take its place.
 */
export class Answer {
  isEventStream = false
  hasEnded = false
  readonly #response: ServerResponse
  #head: ResponseHead | undefined
  #headers: Array<string> = []

  constructor(response: ServerResponse) {
    this.#response = response
  }

  /** `headers` are what the browser gets, name and value in turns. */
  hold(head: ResponseHead, headers: Array<string>): void {
    this.#head = head
    this.#headers = headers
    this.isEventStream = isEventStream(head)
  }

  /** False where the writer should wait for the response's `drain`. */
  write(part: Buffer): boolean {
    const isWhole = part.length <= joinBytes && this.#head?.body === part.length
    this.#writeHead()
    if (!isWhole) return this.#response.write(part)
    this.hasEnded = true
    this.#response.end(part.toString("latin1"), "latin1")
    return true
  }

  /** Nothing of the body has come yet: the head does not wait for it. */
  flush(): void {
    if (this.#writeHead()) this.#response.flushHeaders()
  }

  end(): void {
    if (this.hasEnded) return
    this.hasEnded = true
    this.#writeHead()
    this.#response.end()
  }

  /** Whether it was still held. */
  #writeHead(): boolean {
    if (this.#head === undefined) return false
    const { message, status } = this.#head
    this.#head = undefined
    this.#response.writeHead(status, message, this.#headers)
    return true
  }
}

/** Whose end is not told by a length. */
const isEventStream = ({ body, headers }: ResponseHead): boolean =>
  typeof body !== "number" &&
  headers.some(
    (name, at) =>
      at % 2 === 0 &&
      name.toLowerCase() === "content-type" &&
      /^text\/event-stream\b/i.test(headers[at + 1] ?? "")
  )
