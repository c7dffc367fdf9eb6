import * as Problem from "@edge-relay/domain/api/Problem"

/**
 * How long a request is waited for, and by whom: an edge that has it for its answer, a browser for the rest of it.
 * What is on its way, or is silent by nature (an event stream, a WebSocket), is not waited for. Times are
 * milliseconds since 1970.
 */
export interface PatienceLimits {
  /** Until an edge that has all of a request begins to answer. */
  readonly firstByteMillis: number
  /** While nothing moves either way of what has begun to be sent. */
  readonly uploadIdleMillis: number
}

/** Whose turn it is: `nobody`'s once all is sent, or while the edge has yet to say that it wants a body. */
export type Turn = "nobody" | "browser" | "edge"

export class Patience {
  readonly #limits: PatienceLimits
  /** Until when the edge may take to begin its answer. */
  #deadline: number
  /** When a byte moved last. */
  #movedAt: number

  constructor(limits: PatienceLimits, now: number) {
    this.#limits = limits
    this.#movedAt = now
    this.#deadline = now + limits.firstByteMillis
  }

  /** A byte of the answer came, or it has become the other's turn. */
  moved(now: number): void {
    this.#movedAt = now
  }

  /** More of the request came: the edge's time begins anew, unless it is answering already. */
  sent(now: number): void {
    this.#movedAt = now
    if (this.#deadline !== Number.POSITIVE_INFINITY) this.#deadline = now + this.#limits.firstByteMillis
  }

  answering(): void {
    this.#deadline = Number.POSITIVE_INFINITY
  }

  /** What to end a request with that is not answered in full yet; undefined: it may go on. */
  check(now: number, turn: Turn): Problem.EdgeTimeout | Problem.RequestTimeout | undefined {
    // A browser that is still sending is not waited for by anybody but the edge.
    if (turn !== "browser" && now >= this.#deadline) {
      return new Problem.EdgeTimeout({ detail: "The edge did not begin to answer in time." })
    }
    if (turn === "nobody" || now - this.#movedAt < this.#limits.uploadIdleMillis) return undefined
    return turn === "browser"
      ? new Problem.RequestTimeout({ detail: "The rest of the request did not come in time." })
      : new Problem.EdgeTimeout({ detail: "The edge did not take the rest of the request in time." })
  }

  /**
   * The same for an upgraded connection, which may be silent for as long as it likes while both sides are there. One
   * that has ended one way (`isOneWay`) may be left by the other side without a sign; and while the edge takes
   * nothing of what the browser sends, nothing is read from it, not even that it has gone.
   */
  checkSwitched(now: number, isOneWay: boolean, hasMoved: boolean): Problem.EdgeTimeout | undefined {
    if (!isOneWay || hasMoved) this.#movedAt = now
    return now - this.#movedAt < this.#limits.uploadIdleMillis
      ? undefined
      : new Problem.EdgeTimeout({ detail: "Nothing came of a connection that had ended one way." })
  }
}
