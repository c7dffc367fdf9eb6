import { STREAM_UPGRADE } from "@edge-relay/protocol/ServiceStream"
import { reset } from "@edge-relay/tunnel/Splice"
import { accept } from "@edge-relay/tunnel/websocket/WebSocketStream"
import type { IncomingMessage } from "node:http"
import { Socket } from "node:net"
import type { Duplex } from "node:stream"
import type { UpgradedConnection } from "../exchange/UpgradedConnection.ts"

/** The client's end of a stream to a service, once its upgrade has been agreed to: a WebSocket, or the connection itself. */
export interface ClientEnd {
  readonly stream: Duplex
  /** Payload that came from the client, and that was sent to it. */
  readonly bytesRead: () => number
  readonly bytesWritten: () => number
  /** Ends it at once, because whoever it is for may no longer have it. */
  readonly cut: () => void
  /** Says that it is there, so that nothing between takes it for forgotten. */
  readonly ping: () => void
}

/** Whether the upgrade that a request offers is one of ours. */
export const isOffered = (upgrade: string | undefined): boolean => isRaw(upgrade) || isWebSocket(upgrade)

const isRaw = (upgrade: string | undefined) => upgrade?.toLowerCase() === STREAM_UPGRADE
const isWebSocket = (upgrade: string | undefined) => upgrade?.toLowerCase() === "websocket"

/** Agrees to the upgrade. A WebSocket's handshake that is none is answered by 4xx, and `onOpen` not called. */
export const take = (
  request: IncomingMessage,
  upgraded: UpgradedConnection,
  requestId: string,
  onOpen: (client: ClientEnd) => void
): void => {
  const { early, socket } = upgraded.take()
  if (!isRaw(request.headers.upgrade)) {
    return accept(request, socket, early, [`X-Request-Id: ${requestId}`], (stream) =>
      onOpen({
        stream,
        bytesRead: () => stream.bytesRead,
        bytesWritten: () => stream.bytesWritten,
        cut: () => stream.cut(),
        ping: () => stream.ping()
      })
    )
  }
  const text = `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STREAM_UPGRADE}\r\nX-Request-Id: ${requestId}\r\n\r\n`
  const { read, written } = countersOf(socket)
  const [readBefore, writtenBefore] = [read() - early.length, written() + text.length]
  socket.write(text)
  if (early.length > 0) socket.unshift(early)
  onOpen({
    stream: socket,
    bytesRead: () => Math.max(0, read() - readBefore),
    bytesWritten: () => Math.max(0, written() - writtenBefore),
    cut: () => reset(socket),
    // TCP's own keep-alive has to do.
    ping: () => undefined
  })
}

/** Node gives a `net.Socket`, or a TLS one, which is one too. */
const countersOf = (socket: Duplex) => ({
  read: () => (socket instanceof Socket ? socket.bytesRead : 0),
  written: () => (socket instanceof Socket ? socket.bytesWritten : 0)
})
