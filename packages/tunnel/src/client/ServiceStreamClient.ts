import { pathOf, STREAM_UPGRADE } from "@edge-relay/protocol/ServiceStream"
import { Effect, Option, Redacted, Schema } from "effect"
import * as http from "node:http"
import * as https from "node:https"
import type { Duplex } from "node:stream"
import { Socket } from "node:net"
import { type ClientOptions, WebSocket } from "ws"
import { outboundProxy, type ProxyEnvironment } from "../agent/OutboundProxy.ts"
import { WebSocketStream } from "../websocket/WebSocketStream.ts"

/** Opens byte streams to services of edges, from wherever a person or a script is. */

export interface ServiceStreamOptions {
  /** The api, as browsers call it. */
  readonly url: URL
  readonly token: Redacted.Redacted<string>
  readonly edgeId: string
  readonly service: string
  /**
   * `stream`: the connection itself, the fastest. `websocket`: also through what passes WebSockets alone, or closes what
   * is silent for a minute, or both directions when one ends.
   */
  readonly transport: "stream" | "websocket"
  /** Certificate authorities' PEM, in place of the built-in ones. */
  readonly ca?: ReadonlyArray<string> | undefined
  /** Names a proxy for outbound connections, if there is one. */
  readonly environment?: ProxyEnvironment
  /** From the connection to the answer: 30 s, a little more than an edge may take. */
  readonly timeoutMillis?: number
}

/** The cloud answered, and not with a stream. */
export class StreamRefused extends Schema.TaggedError<StreamRefused>()("StreamRefused", {
  status: Schema.Int,
  /** Of the problem (RFC 9457), where it is one: `unauthorized`, `edge_offline`. */
  code: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    return `the cloud refused the stream: ${this.detail ?? this.code ?? `status ${this.status}`}`
  }
}

/** The cloud could not be reached, or broke off before it had answered. */
export class CloudUnreachable extends Schema.TaggedError<CloudUnreachable>()("CloudUnreachable", {
  origin: Schema.String,
  reason: Schema.String
}) {
  override get message(): string {
    return `cannot reach ${this.origin}: ${this.reason}`
  }
}

/**
 * A stream to the service, connected. Half-close is kept; `destroy` before both directions have ended resets the edge's
 * local connection.
 */
export const open = (
  options: ServiceStreamOptions
): Effect.Effect<Duplex, StreamRefused | CloudUnreachable> => {
  const timeoutMillis = options.timeoutMillis ?? 30_000
  const unreachable = (reason: string) => new CloudUnreachable({ origin: options.url.origin, reason })
  const asked = Effect.callback<Duplex, StreamRefused | CloudUnreachable>((resume) => {
    const begin = options.transport === "websocket" ? beginWebSocket : beginStream
    const stop = begin(options, {
      onOpen: (stream) => resume(Effect.succeed(stream)),
      onAnswer: (response) => readProblem(response, (refused) => resume(Effect.fail(refused))),
      onError: (error) => resume(Effect.fail(unreachable(error.message || (error.code ?? "it failed"))))
    })
    return Effect.sync(stop)
  })
  return Effect.timeoutOrElse(asked, {
    duration: timeoutMillis,
    orElse: () => Effect.fail(unreachable(`no answer within ${timeoutMillis / 1000} s`))
  })
}

interface Handlers {
  readonly onOpen: (stream: Duplex) => void
  readonly onAnswer: (response: http.IncomingMessage) => void
  readonly onError: (error: NodeJS.ErrnoException) => void
}

const beginStream = (options: ServiceStreamOptions, on: Handlers): (() => void) => {
  const { environment = {}, token, url } = options
  const secure = url.protocol === "https:"
  // Node hands the latter on to the socket: once connected it is a byte stream of its own.
  const details: https.RequestOptions & { readonly allowHalfOpen: true } = {
    headers: {
      Connection: "Upgrade",
      Upgrade: STREAM_UPGRADE,
      Authorization: `Bearer ${Redacted.value(token)}`
    },
    agent: outboundProxy(url, environment, tlsOf(options)) ?? false,
    allowHalfOpen: true,
    ...(options.ca === undefined ? {} : { ca: [...options.ca] })
  }
  const address = new URL(pathOf(options.edgeId, options.service), url)
  const request = (secure ? https : http).request(address, details)
  request.on("upgrade", (_response, socket: Duplex, head: Buffer) => {
    // A proxy's agent connects without it.
    if (socket instanceof Socket) socket.allowHalfOpen = true
    if (socket instanceof Socket) socket.setNoDelay(true).setKeepAlive(true, keepAliveMillis)
    if (head.length > 0) socket.unshift(head)
    on.onOpen(socket)
  })
  request.on("response", on.onAnswer)
  request.on("error", on.onError)
  request.end()
  return () => void request.destroy()
}

const beginWebSocket = (options: ServiceStreamOptions, on: Handlers): (() => void) => {
  const { environment = {}, token, url } = options
  const address = new URL(pathOf(options.edgeId, options.service), url)
  address.protocol = url.protocol === "https:" ? "wss:" : "ws:"
  const details: ClientOptions = {
    headers: { Authorization: `Bearer ${Redacted.value(token)}` },
    perMessageDeflate: false,
    ...(options.ca === undefined ? {} : { ca: [...options.ca] })
  }
  const socket = new WebSocket(address, STREAM_UPGRADE, {
    ...details,
    agent: outboundProxy(url, environment, tlsOf(options))
  })
  socket.on("open", () => on.onOpen(new WebSocketStream(socket)))
  socket.on("unexpected-response", (_request, response) => on.onAnswer(response))
  socket.on("error", on.onError)
  return () => socket.terminate()
}

/** What a proxy's agent is told of the far server. */
const tlsOf = ({ ca }: ServiceStreamOptions) => (ca === undefined ? {} : { ca: ca.join("\n") })

const keepAliveMillis = 30_000

const Problem = Schema.fromJsonString(
  Schema.Struct({ code: Schema.String, detail: Schema.optionalKey(Schema.String) })
)
const decodeProblem = Schema.decodeUnknownOption(Problem)

/** What follows the first 64 KiB is no problem of ours. */
const maxProblemBytes = 64 * 1024

const readProblem = (response: http.IncomingMessage, done: (refused: StreamRefused) => void): void => {
  const parts: Array<Buffer> = []
  let size = 0
  response.on("data", (part: Buffer) => {
    size += part.length
    if (size <= maxProblemBytes) parts.push(part)
    else response.destroy()
  })
  response.on("error", () => undefined)
  response.once("close", () => {
    const problem = Option.getOrUndefined(decodeProblem(Buffer.concat(parts).toString()))
    const { code = null, detail = null } = problem ?? {}
    done(new StreamRefused({ status: response.statusCode ?? 0, code, detail }))
  })
}
