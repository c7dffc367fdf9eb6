import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Effect } from "effect"
import type { DialError, EdgeStream } from "@edge-relay/tunnel/DialError"
import { reset, splice } from "@edge-relay/tunnel/Splice"
import {
  encodeRefusal,
  PROTOCOL_HEADER,
  STREAM_HEADER,
  STREAM_PROTOCOL
} from "@edge-relay/tunnel/StreamUpgrade"

/** The sockets that are joined to tunnel streams, by the id that whoever asked for one was told. */
export class InternalStreams {
  readonly #open = new Map<string, Duplex>()
  #lastId = 0

  /**
   * Answers an upgrade with 101 once the stream is open, and joins the two; what comes after is bytes, and nothing
   * here looks at them. Answers why not where there is no stream.
   */
  join(opening: Effect.Effect<EdgeStream, DialError>, socket: Duplex, head: Buffer) {
    return opening.pipe(
      Effect.map((opened) => this.#join(opened, socket, head)),
      Effect.catch(({ reason }) =>
        // Only a dialler of other machines' tunnels says that a proxy is unavailable.
        reason._tag === "ProxyUnavailable" ? Effect.die(reason) : Effect.succeed(encodeRefusal(reason))
      )
    )
  }

  /**
   * Breaks a stream off. A socket that is cancelled tells so by itself, but not while we read nothing from it since
   * the edge is slow: hence this way around it.
   */
  cancel(id: string): boolean {
    const socket = this.#open.get(id)
    if (socket !== undefined) reset(socket)
    return socket !== undefined
  }

  #join({ stream, protocol }: EdgeStream, socket: Duplex, head: Buffer): undefined {
    if (socket.destroyed) {
      stream.destroy()
      return
    }
    const id = String(++this.#lastId)
    this.#open.set(id, socket)
    socket.once("close", () => this.#open.delete(id))
    if (socket instanceof Socket) socket.setNoDelay(true)
    const headers = {
      Connection: "Upgrade",
      Upgrade: STREAM_PROTOCOL,
      [PROTOCOL_HEADER]: protocol,
      [STREAM_HEADER]: id
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join("")}\r\n`)
    if (head.length > 0) socket.unshift(head)
    splice(socket, stream)
  }
}
