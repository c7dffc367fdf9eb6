import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Cause, Effect } from "effect"
import type { DialError, EdgeStream } from "@edge-relay/protocol/DialError"
import {
  decodeDial,
  type Dial,
  encodeConnected,
  encodeRefused,
  LINK_PROTOCOL,
  linkOptions,
  MAX_MESSAGE
} from "@edge-relay/protocol/LinkProtocol"
import * as PrefixedText from "@edge-relay/protocol/PrefixedText"
import { splice } from "@edge-relay/tunnel/Splice"
import type { LocalReason } from "@edge-relay/protocol/StreamRefusal"
import { DuplexTransport } from "@edge-relay/yamux/DuplexTransport"
import { Session } from "@edge-relay/yamux/Session"

/** One stream on a connection of its own: for operators, and programs that do not speak yamux. */
export const STREAM_PROTOCOL = "edge-relay-stream"

/** On the 101: what the edge speaks. A `v1` stream is good for one HTTP exchange. */
const PROTOCOL_HEADER = "edge-relay-protocol"

/** A dial follows its stream's first frame at once. */
const DIAL_MILLIS = 5_000

export interface InternalStreamsOptions {
  readonly open: (dial: Dial) => Effect.Effect<EdgeStream, DialError>
  /** Runs it in the background; answers how to interrupt it. */
  readonly fork: (effect: Effect.Effect<void>) => () => void
}

/** Streams to edges, as others ask for them on the internal port: many over one link, or one over one connection. */
export class InternalStreams {
  readonly #options: InternalStreamsOptions
  readonly #links = new Set<Session>()

  constructor(options: InternalStreamsOptions) {
    this.#options = options
  }

  /** Answers an upgrade to a link with 101. */
  link(socket: Duplex, head: Buffer): void {
    switchTo(socket, head, { Upgrade: LINK_PROTOCOL })
    const session = new Session("server", new DuplexTransport(socket), linkOptions)
    this.#links.add(session)
    session.onClose = () => this.#links.delete(session)
    session.onStream = (stream) => this.#serve(stream)
  }

  /**
   * Answers an upgrade to one stream with 101 once the stream is open, and joins the two; what comes after is
   * bytes, and nothing here looks at them. Answers why not where there is no stream.
   */
  join(dial: Dial, socket: Duplex, head: Buffer, refuse: (reason: LocalReason) => void): void {
    this.#open(dial, socket, refuse, ({ stream, protocol }) => {
      switchTo(socket, head, { Upgrade: STREAM_PROTOCOL, [PROTOCOL_HEADER]: protocol })
      splice(socket, stream)
    })
  }

  /** Breaks off what is left. */
  close(): void {
    for (const session of this.#links) session.destroy()
  }

  #serve(stream: Duplex): void {
    const options = { maxBytes: MAX_MESSAGE, timeoutMillis: DIAL_MILLIS }
    PrefixedText.read(stream, options, (text) => {
      const dial = decodeDial(text)
      if (dial._tag === "None") return void stream.destroy()
      const refuse = (reason: LocalReason) => {
        stream.end(PrefixedText.encode(encodeRefused(reason)))
        stream.resume()
      }
      this.#open(dial.value, stream, refuse, (opened) => {
        stream.write(PrefixedText.encode(encodeConnected(opened.protocol)))
        splice(stream, opened.stream)
      })
    })
  }

  /** Whoever asked may go before there is an answer. */
  #open(
    dial: Dial,
    asker: Duplex,
    refuse: (reason: LocalReason) => void,
    done: (opened: EdgeStream) => void
  ): void {
    const interrupt = this.#options.fork(
      this.#options.open(dial).pipe(
        Effect.map((opened) => {
          if (asker.destroyed) opened.stream.destroy()
          else done(opened)
        }),
        Effect.catch(({ reason }) =>
          // Only a dialler of other machines' tunnels says that a proxy is unavailable.
          reason._tag === "ProxyUnavailable" ? Effect.die(reason) : Effect.sync(() => refuse(reason))
        ),
        // Whoever asked is not left to wait for an answer.
        Effect.onError((cause) =>
          Effect.andThen(
            Effect.sync(() => asker.destroy()),
            Cause.hasInterrupts(cause) ? Effect.void : Effect.logError("a stream met a defect", cause)
          )
        )
      )
    )
    asker.once("close", interrupt)
  }
}

const switchTo = (socket: Duplex, head: Buffer, headers: Record<string, string>): void => {
  if (socket instanceof Socket) socket.setNoDelay(true)
  const lines = Object.entries({ Connection: "Upgrade", ...headers })
  const text = lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${text}\r\n`)
  if (head.length > 0) socket.unshift(head)
}
