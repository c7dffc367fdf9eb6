import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { WebSocket, WebSocketServer } from "ws"
import { Session } from "../../../src/Session.ts"
import type { Role } from "../../../src/Session.ts"
import { WebSocketTransport } from "@edge-relay/tunnel/websocket/WebSocketTransport"
import { respond } from "./Streams.ts"

const options = { perMessageDeflate: false, maxPayload: WebSocketTransport.maxPayload }

const sessionOver = (role: Role, webSocket: WebSocket): Session => {
  const session = new Session(role, new WebSocketTransport(webSocket))
  session.onStream = respond
  return session
}

/** Our session over a WebSocket to a peer that listens. */
export const dial = async (role: Role, url: string): Promise<Session> => {
  const webSocket = new WebSocket(url, options)
  const session = sessionOver(role, webSocket)
  await once(webSocket, "open")
  return session
}

export interface Listening {
  readonly url: string
  /** The first connection, as it is, and as a session of ours. */
  readonly webSocket: Promise<WebSocket>
  readonly session: (role: Role) => Promise<Session>
  readonly close: () => void
}

/** A WebSocket server on a free port. */
export const listen = async (): Promise<Listening> => {
  const server = new WebSocketServer({ ...options, host: "127.0.0.1", port: 0 })
  await once(server, "listening")
  let role: Role | undefined
  const accepted = Promise.withResolvers<WebSocket>()
  const session = Promise.withResolvers<Session>()
  server.once("connection", (webSocket) => {
    accepted.resolve(webSocket)
    // In this turn: what the peer sends first must find its listener.
    if (role !== undefined) session.resolve(sessionOver(role, webSocket))
  })
  // A listening TCP server's address is an object.
  const { port } = server.address() as AddressInfo
  return {
    url: `ws://127.0.0.1:${port}`,
    webSocket: accepted.promise,
    session: (asked) => {
      role = asked
      return session.promise
    },
    close: () => {
      for (const client of server.clients) client.terminate()
      server.close()
    }
  }
}
