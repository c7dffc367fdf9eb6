import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type DialError, EdgeBusy, type EdgeStream } from "@edge-relay/domain/tunnels/DialError"
import { Cause, Exit, type Fiber, Option, type Tracer } from "effect"
import { EdgeConnection, type ConnectionOwner } from "./EdgeConnection.ts"

/**
 * The connections to one edge's local server: kept alive between requests, the last used first, and never more
 * than a bound. A request past it is refused at once: nothing queues.
 */

export type DialFailure =
  | DialError["reason"]
  | { readonly _tag: "Died"; readonly cause: Cause.Cause<unknown> }

export interface PoolOptions {
  /** Begins to open a stream to the edge, for the request whose span that is. */
  readonly dial: (
    edgeId: EdgeId,
    span: Tracer.Span | undefined,
    requestId: string | undefined
  ) => Fiber.Fiber<EdgeStream, DialError>
  readonly maxStreams: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The pool has no connection left. */
  readonly onEmpty: (pool: EdgePool) => void
}

/** Node's servers close idle connections after 5 s, the shortest of those that are common. */
const defaultIdleSeconds = 5
const maxIdleSeconds = 60
/** A server that says nothing keeps an idle connection for at least that long, and longer than word of its end takes. */
const freshMillis = 50

export class EdgePool implements ConnectionOwner {
  readonly edgeId: EdgeId
  readonly #options: PoolOptions
  /** Longest idle first. */
  readonly #idle: Array<EdgeConnection> = []
  readonly #connections = new Set<EdgeConnection>()
  /** Of those, the ones that are not asked again. */
  readonly #retired = new Set<EdgeConnection>()
  /** How often all were retired. */
  #retirements = 0
  #dialing = 0
  /** How long idle connections have been seen to stay open, by what came of them; a hint counts until it was wrong. */
  #provenMillis = 0
  #isHintWrong = false

  constructor(edgeId: EdgeId, options: PoolOptions) {
    this.edgeId = edgeId
    this.#options = options
  }

  /** Open streams and those being opened. */
  get size(): number {
    return this.#connections.size + this.#dialing
  }

  /**
   * An idle connection, the last used one. A request that cannot be repeated goes over none that the edge may be about
   * to close: it has one that has not been idle for half as long as others have stayed open.
   */
  take(repeatable: boolean, now: number): EdgeConnection | undefined {
    const last = this.#idle.at(-1)
    if (last === undefined || last.idleUntil <= now) return undefined
    this.#learn(now)
    const sureMillis = Math.max(freshMillis, this.#provenMillis / 2)
    if (!repeatable && now - last.idleSince > sureMillis) return undefined
    return this.#idle.pop()
  }

  #learn(now: number): void {
    const [longest] = this.#idle
    if (longest !== undefined) this.#provenMillis = Math.max(this.#provenMillis, now - longest.idleSince)
  }

  /** Opens a stream. Answers how to give up; `done` is not called after that. */
  dial(
    done: (result: EdgeConnection | DialFailure) => void,
    span?: Tracer.Span,
    requestId?: string
  ): () => void {
    if (this.size >= this.#options.maxStreams && !this.#closeOneIdle()) {
      done(new EdgeBusy({ edgeId: this.edgeId, detail: `${this.#options.maxStreams} streams are open` }))
      return () => undefined
    }
    let wanted = true
    this.#dialing++
    const before = this.#retirements
    const fiber = this.#options.dial(this.edgeId, span, requestId)
    fiber.addObserver((exit) => {
      this.#dialing--
      const result = this.#dialed(exit)
      // It may have opened on what is going.
      if (result instanceof EdgeConnection && before !== this.#retirements) this.#retired.add(result)
      if (wanted) done(result)
      // It had opened in the same moment that it was given up: there will be use for it.
      else if (result instanceof EdgeConnection) this.onFree(result)
      this.#checkEmpty()
    })
    return () => {
      wanted = false
      fiber.interruptUnsafe()
    }
  }

  #closeOneIdle(): boolean {
    const idle = this.#idle.shift()
    if (idle === undefined) return false
    this.#connections.delete(idle)
    idle.close()
    return true
  }

  #dialed(exit: Exit.Exit<EdgeStream, DialError>): EdgeConnection | DialFailure {
    if (Exit.isFailure(exit)) {
      const error = Cause.findErrorOption(exit.cause)
      return Option.isSome(error) ? error.value.reason : { _tag: "Died", cause: exit.cause }
    }
    const connection = new EdgeConnection(exit.value, this)
    this.#connections.add(connection)
    return connection
  }

  onFree(connection: EdgeConnection, idleSeconds?: number): void {
    // A second before the edge would: what it closes as we ask is lost.
    const seconds = Math.min(idleSeconds ?? defaultIdleSeconds, maxIdleSeconds) - 1
    if (idleSeconds !== undefined && !this.#isHintWrong) {
      this.#provenMillis = Math.max(this.#provenMillis, seconds * 2000)
    }
    if (connection.protocol === "v1" || !(seconds > 0) || this.#retired.has(connection)) {
      return connection.close()
    }
    connection.idleSince = this.#options.now()
    connection.idleUntil = connection.idleSince + seconds * 1000
    this.#idle.push(connection)
  }

  onClosed(connection: EdgeConnection): void {
    this.#connections.delete(connection)
    this.#retired.delete(connection)
    const index = this.#idle.indexOf(connection)
    if (index !== -1) {
      // By the edge, or with the tunnel: sooner than we would have.
      this.#idle.splice(index, 1)
      this.#isHintWrong = true
      this.#provenMillis = Math.min(this.#provenMillis, this.#options.now() - connection.idleSince)
    }
    this.#checkEmpty()
  }

  /**
   * The edge has a new tunnel: what goes over the one before ends with what it is asked now. That tunnel's proxy may
   * be waiting for just that, to stop.
   */
  retire(): void {
    this.#retirements++
    for (const connection of this.#connections) this.#retired.add(connection)
    for (const connection of this.#idle.splice(0)) connection.close()
  }

  /** Closes what has been idle for too long. */
  reap(now: number): void {
    this.#learn(now)
    const kept = this.#idle.filter(({ idleUntil }) => idleUntil > now)
    if (kept.length === this.#idle.length) return
    for (const connection of this.#idle) if (connection.idleUntil <= now) connection.close()
    this.#idle.splice(0, this.#idle.length, ...kept)
  }

  destroy(): void {
    for (const connection of this.#connections) connection.destroy()
  }

  #checkEmpty(): void {
    if (this.size === 0) this.#options.onEmpty(this)
  }
}
