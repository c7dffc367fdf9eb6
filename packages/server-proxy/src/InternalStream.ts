import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import { Effect } from "effect"
import type { DialError, EdgeStream } from "@edge-relay/tunnel/DialError"
import { splice } from "@edge-relay/tunnel/Splice"
import { encodeRefusal, PROTOCOL_HEADER, STREAM_PROTOCOL } from "@edge-relay/tunnel/StreamUpgrade"

/**
 * Answers an upgrade with 101 once the stream is open, and joins the two; what comes after is bytes, and nothing
 * here looks at them. Answers why not where there is no stream.
 */
export const openStream = (opening: Effect.Effect<EdgeStream, DialError>, socket: Duplex, head: Buffer) =>
  opening.pipe(
    Effect.map(({ stream, protocol }) => {
      if (socket.destroyed) {
        stream.destroy()
        return undefined
      }
      if (socket instanceof Socket) socket.setNoDelay(true)
      socket.write(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STREAM_PROTOCOL}\r\n${PROTOCOL_HEADER}: ${protocol}\r\n\r\n`
      )
      if (head.length > 0) socket.unshift(head)
      splice(socket, stream)
      return undefined
    }),
    Effect.catch(({ reason }) =>
      // Only a dialler of other machines' tunnels says that a proxy is unavailable.
      reason._tag === "ProxyUnavailable" ? Effect.die(reason) : Effect.succeed(encodeRefusal(reason))
    )
  )
