import type { IncomingMessage } from "node:http"
import type { LookupFunction } from "node:net"
import type { Agent } from "node:http"
import { Option, Redacted, Schema } from "effect"
import { WebSocket } from "ws"
import { ControlChannel } from "../ControlChannel.ts"
import { type LocalServiceOptions, serve, serveV1 } from "./LocalService.ts"
import { type Ending, parseRetryAfter } from "./Reconnect.ts"
import {
  CloseCode,
  Drain,
  type Hello,
  isSubprotocol,
  type ProtocolVersion,
  type ServicesChanged,
  subprotocols,
  Welcome
} from "@edge-relay/protocol/TunnelProtocol"
import { WebSocketTransport } from "../websocket/WebSocketTransport.ts"
import { Session } from "@edge-relay/yamux/Session"
import type { Stream } from "@edge-relay/yamux/Stream"

/** The edge's end of one connection to the cloud, from the dialling to the close. Dials once; see TunnelClient. */

export interface AgentTunnelOptions extends LocalServiceOptions {
  readonly url: URL
  readonly token: Redacted.Redacted<string>
  readonly hello: Omit<Hello, "type">
  /** Extra certificate authorities' PEM, in place of the built-in ones. */
  readonly ca: ReadonlyArray<string> | undefined
  readonly httpAgent: Agent | undefined
  readonly lookup: LookupFunction | undefined
  /** From dialling to the cloud's welcome. */
  readonly handshakeMillis: number
  /** A cloud that is silent for longer is gone, whatever TCP says. */
  readonly silenceMillis: number
  /** Milliseconds since 1970. */
  readonly now: () => number
  /** The cloud has sent data for a stream that is not open. */
  readonly onStrayData?: (streamId: number, bytes: number) => void
  readonly onConnected: (protocol: ProtocolVersion) => void
  /** Once: when the connection is over, or is to be replaced. */
  readonly onEnding: (ending: Ending) => void
  /** Once, when nothing is left of it. */
  readonly onClosed: () => void
}

export class AgentTunnel {
  readonly #options: AgentTunnelOptions
  readonly #webSocket: WebSocket
  readonly #handshakeTimer: NodeJS.Timeout
  #session: Session | undefined
  #control: ControlChannel | undefined
  #silenceTimer: NodeJS.Timeout | undefined
  #connectedAt: number | undefined
  #streams = 0
  #isRetired = false
  #hasEnded = false
  #isClosed = false

  constructor(options: AgentTunnelOptions) {
    this.#options = options
    this.#handshakeTimer = setTimeout(
      () => this.#fail(`not connected within ${options.handshakeMillis} ms`),
      options.handshakeMillis
    )
    this.#webSocket = new WebSocket(options.url, Object.keys(subprotocols), {
      headers: { Authorization: `Bearer ${Redacted.value(options.token)}` },
      perMessageDeflate: false,
      maxPayload: WebSocketTransport.maxPayload,
      agent: options.httpAgent,
      ...(options.ca !== undefined && { ca: [...options.ca] }),
      ...(options.lookup !== undefined && { lookup: options.lookup })
    })
    this.#webSocket.on("open", () => this.#open())
    this.#webSocket.on("unexpected-response", (_request, response) => void this.#refused(response))
    this.#webSocket.on("error", (error) => this.#end({ _tag: "failed", message: describe(error), error }))
    this.#webSocket.on("close", (code, reason) => this.#closed(code, reason.toString("utf8")))
  }

  /** The cloud's, and open. */
  get streams(): number {
    return this.#streams
  }

  /** Lets its streams finish, and closes after the last. No new ones are taken. */
  retire(): void {
    this.#isRetired = true
    if (this.#session === undefined) return this.#webSocket.terminate()
    this.#session.goAway()
    this.#closeIfIdle()
  }

  /** Tells the cloud which services there are now. The first generation's has no way to hear of it. */
  announce(): void {
    const message: ServicesChanged = { type: "services", services: this.#options.hello.services ?? [] }
    this.#control?.send(message)
  }

  /** Closes in good order: what was written still arrives. */
  close(): Promise<void> {
    if (this.#session !== undefined) return this.#session.close()
    this.#webSocket.terminate()
    return Promise.resolve()
  }

  #open(): void {
    const name = this.#webSocket.protocol
    const protocol = isSubprotocol(name) ? subprotocols[name] : "v1"
    // In the turn in which the socket opens: the cloud may already have spoken.
    const session = new Session("client", new WebSocketTransport(this.#webSocket))
    this.#session = session
    session.onStream = (stream) => this.#serve(stream, protocol)
    session.onClose = (error) => this.#closed(1006, error?.message ?? "closed")
    if (this.#options.onStrayData !== undefined) session.onStrayData = this.#options.onStrayData
    if (protocol === "v1") session.onGoAway = () => this.#onGoAway()
    this.#watchSilence(session, this.#options.silenceMillis / 2)
    if (protocol === "v1") return this.#connected(protocol)
    this.#control = new ControlChannel(session.open(), {
      onMessage: (message) => this.#onControl(message),
      onEnd: (error) => this.#fail(error?.message ?? "control stream closed")
    })
    this.#control.send({ type: "hello", ...this.#options.hello })
  }

  #serve(stream: Stream, protocol: ProtocolVersion): void {
    this.#streams++
    stream.once("close", () => {
      this.#streams--
      this.#closeIfIdle()
    })
    if (protocol === "v1") serveV1(stream, this.#options)
    else serve(stream, this.#options)
  }

  #onControl(message: { readonly [key: string]: unknown }): void {
    if (message["type"] === "welcome" && Option.isSome(decodeWelcome(message))) return this.#connected("v2")
    const drain = message["type"] === "drain" ? decodeDrain(message) : Option.none()
    if (Option.isSome(drain)) this.#drain(drain.value.reconnectAfterMillis)
  }

  #connected(protocol: ProtocolVersion): void {
    if (this.#connectedAt !== undefined) return
    clearTimeout(this.#handshakeTimer)
    this.#connectedAt = this.#options.now()
    this.#options.onConnected(protocol)
  }

  /** First-generation clouds drain by this; but any close begins with it, and then says why it closes. */
  #onGoAway(): void {
    setTimeout(() => this.#drain(0), GO_AWAY_MILLIS).unref()
  }

  #drain(afterMillis: number): void {
    this.#end({ _tag: "draining", afterMillis, stoodMillis: this.#stoodMillis() })
  }

  /** Not at each chunk that arrives: the timer looks when the last one came, and is set anew by that. */
  #watchSilence(session: Session, millis: number): void {
    this.#silenceTimer = setTimeout(() => this.#checkSilence(session), Math.ceil(millis))
  }

  #checkSilence(session: Session, isRead = false): void {
    if (session.closed) return
    const { silenceMillis } = this.#options
    const silentMillis = performance.now() - session.lastReceivedAt
    if (silentMillis >= silenceMillis) {
      if (!isRead) {
        // A process that stood still itself has first to read what has come meanwhile.
        setImmediate(() => this.#checkSilence(session, true))
      } else this.#fail(`nothing from the cloud for ${Math.round(silentMillis / 1000)} s`)
    } else if (silentMillis >= silenceMillis / 2) {
      // A cloud that beats as agreed is never asked.
      session.measure()
      this.#watchSilence(session, silenceMillis - silentMillis)
    } else this.#watchSilence(session, silenceMillis / 2 - silentMillis)
  }

  async #refused(response: IncomingMessage): Promise<void> {
    const code = await problemCode(response).catch(() => undefined)
    const retryAfterMillis = parseRetryAfter(response.headers["retry-after"], this.#options.now())
    this.#end({ _tag: "refused", status: response.statusCode ?? 0, code, retryAfterMillis })
    this.#webSocket.terminate()
  }

  #fail(message: string): void {
    this.#end({ _tag: "failed", message })
    if (this.#session === undefined) this.#webSocket.terminate()
    else this.#session.destroy(new Error(message), CloseCode.protocolError, "agent gave up")
  }

  #closeIfIdle(): void {
    if (this.#isRetired && this.#streams === 0) void this.#session?.close()
  }

  #closed(code: number, reason: string): void {
    clearTimeout(this.#handshakeTimer)
    clearTimeout(this.#silenceTimer)
    this.#end({ _tag: "closed", code, reason, stoodMillis: this.#stoodMillis() })
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClosed()
  }

  #end(ending: Ending): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.#options.onEnding(ending)
  }

  #stoodMillis(): number {
    return this.#connectedAt === undefined ? 0 : this.#options.now() - this.#connectedAt
  }
}

const GO_AWAY_MILLIS = 1_000

const decodeWelcome = Schema.decodeUnknownOption(Welcome)
const decodeDrain = Schema.decodeUnknownOption(Drain)

/** Of a refusal's body; more is not one of ours. */
const MAX_BODY = 16 * 1024

const Problem = Schema.fromJsonString(Schema.Struct({ code: Schema.String }))

const problemCode = async (response: IncomingMessage): Promise<string | undefined> => {
  let body = ""
  for await (const chunk of response.setEncoding("utf8")) {
    body += chunk
    if (body.length > MAX_BODY) return undefined
  }
  return Option.getOrUndefined(Schema.decodeOption(Problem)(body))?.code
}

/** Of several addresses tried, node's error has a message of its own for each, and none for all. */
const describe = (error: Error): string =>
  error instanceof AggregateError ? error.errors.map((one) => describe(one)).join("; ") : error.message
