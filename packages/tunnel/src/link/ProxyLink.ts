import { request as httpRequest } from "node:http"
import type { Duplex } from "node:stream"
import { Effect, Option, Redacted } from "effect"
import { DialError, EdgeReset, type EdgeStream, ProxyUnavailable } from "@edge-relay/domain/tunnels/DialError"
import {
  decodeAnswer,
  type Dial,
  encodeDial,
  LINK_PATH,
  LINK_PROTOCOL,
  linkOptions,
  MAX_MESSAGE
} from "@edge-relay/protocol/LinkProtocol"
import * as PrefixedText from "@edge-relay/protocol/PrefixedText"
import { DuplexTransport } from "@edge-relay/yamux/DuplexTransport"
import { Session } from "@edge-relay/yamux/Session"
import type { SessionOptions } from "@edge-relay/yamux/SessionOptions"
import type { Stream } from "@edge-relay/yamux/Stream"
import { SessionError } from "@edge-relay/yamux/YamuxError"

export interface ProxyLinkOptions {
  /** The proxy's internal port. */
  readonly proxyUrl: string
  readonly internalKey: Redacted.Redacted<string>
  /** For the connection, and then for a stream until the proxy answers: longer than it waits for the edge. */
  readonly timeoutMillis: number
  /** After how long without a sign of life the proxy is asked for one, and then how long until the link is over. */
  readonly keepAliveMillis?: number
  /** Odd. A link that has used up the ids from there on is followed by another. */
  readonly firstStreamId?: number
}

/**
 * An api's link to one proxy. It is made when a stream is first asked for, and again by the next that asks after it
 * has ended; its end is the end of every stream on it.
 */
export class ProxyLink {
  readonly #options: ProxyLinkOptions
  readonly #sessionOptions: Partial<SessionOptions>
  #session: Session | undefined
  #connecting: Promise<Session> | undefined
  /** Those that take no new streams, and have some left. */
  readonly #retired = new Set<Session>()
  #isClosed = false

  constructor(options: ProxyLinkOptions) {
    const { firstStreamId, keepAliveMillis } = options
    this.#options = options
    this.#sessionOptions = {
      ...linkOptions,
      ...(firstStreamId !== undefined && { firstStreamId }),
      ...(keepAliveMillis !== undefined && { keepAliveMillis, keepAliveTimeoutMillis: keepAliveMillis })
    }
  }

  open(dial: Dial): Effect.Effect<EdgeStream, DialError> {
    return Effect.flatMap(this.#ready, (session) => this.#request(session, dial))
  }

  close(): void {
    this.#isClosed = true
    for (const session of [this.#session, ...this.#retired]) session?.destroy()
  }

  readonly #ready = Effect.suspend(() =>
    this.#session === undefined
      ? Effect.tryPromise({
          try: () => (this.#connecting ??= this.#connect().finally(() => (this.#connecting = undefined))),
          catch: (cause) => new DialError({ reason: this.#unavailable(cause) })
        })
      : Effect.succeed(this.#session)
  )

  #connect(): Promise<Session> {
    const { internalKey, proxyUrl, timeoutMillis } = this.#options
    const { hostname, port } = new URL(proxyUrl)
    return new Promise((resolve, reject) => {
      const request = httpRequest({
        // A literal IPv6 address stands in brackets in a URL, and without them everywhere else.
        host: hostname.replace(/^\[|\]$/g, ""),
        port: Number(port || "80"),
        path: LINK_PATH,
        headers: {
          Authorization: `Bearer ${Redacted.value(internalKey)}`,
          Connection: "Upgrade",
          Upgrade: LINK_PROTOCOL
        },
        agent: false
      })
      const timer = setTimeout(
        () => request.destroy(new Error(`no answer within ${timeoutMillis} ms`)),
        timeoutMillis
      )
      request.on("close", () => clearTimeout(timer))
      request.on("error", reject)
      request.on("response", ({ statusCode }) =>
        request.destroy(new Error(`status ${statusCode} in place of 101`))
      )
      request.on("upgrade", (_response, socket, head) => {
        clearTimeout(timer)
        socket.setNoDelay(true)
        if (head.length > 0) socket.unshift(head)
        resolve(this.#begin(socket))
      })
      request.end()
    })
  }

  #begin(socket: Duplex): Session {
    const session = new Session("client", new DuplexTransport(socket), this.#sessionOptions)
    session.onClose = () => {
      this.#forget(session)
      this.#retired.delete(session)
    }
    session.onGoAway = () => this.#retire(session)
    if (this.#isClosed) session.destroy()
    else this.#session = session
    return session
  }

  #retire(session: Session): void {
    this.#forget(session)
    this.#retired.add(session)
  }

  #forget(session: Session): void {
    if (this.#session === session) this.#session = undefined
  }

  #unavailable(cause: unknown): ProxyUnavailable {
    return new ProxyUnavailable({ proxyUrl: this.#options.proxyUrl, cause })
  }

  #request(session: Session, dial: Dial): Effect.Effect<EdgeStream, DialError> {
    const { timeoutMillis } = this.#options
    return Effect.callback((resume) => {
      let stream: Stream
      const fail = (reason: DialError["reason"]) => resume(Effect.fail(new DialError({ reason })))
      try {
        stream = session.open()
      } catch (cause) {
        if (!(cause instanceof SessionError) || cause.code !== "streams_exhausted") {
          return fail(this.#unavailable(cause))
        }
        // Two thousand million streams: the next link begins anew.
        this.#retire(session)
        return resume(this.open(dial))
      }
      const reasonOf = (failure: PrefixedText.Failure | undefined): DialError["reason"] => {
        if (failure === "timeout") return this.#unavailable(new Error(`no answer within ${timeoutMillis} ms`))
        if (session.closed) return this.#unavailable(new Error("the link broke"))
        return failure === "ended"
          ? new EdgeReset({ edgeId: dial.edgeId })
          : this.#unavailable(new Error("an answer that is none"))
      }
      const stop = PrefixedText.read(stream, { maxBytes: MAX_MESSAGE, timeoutMillis }, (text, failure) => {
        const answer = text === undefined ? undefined : Option.getOrUndefined(decodeAnswer(text))
        if (answer !== undefined && "protocol" in answer) {
          return resume(Effect.succeed({ stream, protocol: answer.protocol }))
        }
        fail(answer ?? reasonOf(failure))
        stream.destroy()
      })
      stream.write(PrefixedText.encode(encodeDial(dial)))
      return Effect.sync(() => {
        stop()
        stream.destroy()
      })
    })
  }
}
