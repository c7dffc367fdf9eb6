import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { afterEach, assert, describe, it } from "@effect/vitest"
import { WebSocket, WebSocketServer } from "ws"
import { Session } from "@edge-relay/yamux/Session"
import type { SessionOptions } from "@edge-relay/yamux/SessionOptions"
import { WebSocketTransport } from "../../src/websocket/WebSocketTransport.ts"
import { codeOf, data, ping, wnd } from "@edge-relay/testkit/yamux/Wire"

const options = { perMessageDeflate: false, maxPayload: WebSocketTransport.maxPayload }
const open: Array<WebSocketServer> = []

/** A server's transport, and the bare WebSocket of its peer. */
const connect = async () => {
  const server = new WebSocketServer({ ...options, host: "127.0.0.1", port: 0 })
  open.push(server)
  await once(server, "listening")
  // A listening TCP server's address is an object.
  const { port } = server.address() as AddressInfo
  const accepted = new Promise<WebSocketTransport>((resolve) =>
    server.once("connection", (webSocket) => resolve(new WebSocketTransport(webSocket)))
  )
  const peer = new WebSocket(`ws://127.0.0.1:${port}`, options)
  const clientTransport = new WebSocketTransport(peer)
  await once(peer, "open")
  return { transport: await accepted, peer, clientTransport }
}

const sessionOver = (transport: WebSocketTransport, sessionOptions?: Partial<SessionOptions>) => {
  const session = new Session("server", transport, sessionOptions)
  session.onStream = (stream) => stream.pipe(stream)
  const ended = new Promise<Error | undefined>((resolve) => (session.onClose = resolve))
  return { session, ended }
}

afterEach(() => {
  for (const server of open.splice(0)) {
    for (const client of server.clients) client.terminate()
    server.close()
  }
})

describe("WebSocketTransport", () => {
  it("Y07 takes a frame as big as the largest window in one message", async () => {
    const { peer, transport } = await connect()
    const maxWindow = 4 * 1024 * 1024
    const { session } = sessionOver(transport, { initialWindow: maxWindow })
    const received = new Promise<number>((resolve) => {
      session.onStream = (stream) => {
        let length = 0
        stream.on("data", (chunk: Buffer) => (length += chunk.length) === maxWindow && resolve(length))
      }
    })
    peer.send(wnd(1, 0, "SYN"))
    peer.send(data(1, maxWindow))
    assert.strictEqual(await received, maxWindow)
    assert.isFalse(session.closed)
  })

  it("gives out an empty chunk for each ping, pong and empty message, for the session to count", async () => {
    const { peer, transport } = await connect()
    const chunks: Array<string> = []
    const last = new Promise<void>((resolve) => {
      transport.onData = (chunk) => {
        chunks.push(chunk.toString())
        if (chunk.toString() === "last") resolve()
      }
    })
    peer.ping()
    peer.pong("with a payload")
    peer.send(Buffer.alloc(0))
    peer.send(Buffer.from("last"))
    await last
    assert.deepStrictEqual(chunks, ["", "", "", "last"])
  })

  it("Y08 ignores an empty message, and takes a text message for a protocol error", async () => {
    const { peer, transport } = await connect()
    const { ended } = sessionOver(transport)
    peer.send(Buffer.alloc(0))
    peer.send("hello")
    assert.strictEqual(codeOf(await ended), "protocol_error")
    const [code, reason] = await once(peer, "close")
    assert.strictEqual(code, 4009)
    assert.strictEqual(String(reason), "protocol error: a text message is not part of the protocol")
  })

  it("tells the peer why a session ended, with whole characters in at most 123 bytes", async () => {
    const { clientTransport, peer, transport } = await connect()
    const { session } = sessionOver(transport)
    session.destroy(new Error("over"), 4001, "ü".repeat(100))
    await once(peer, "close")
    assert.strictEqual(clientTransport.closeCode, 4001)
    assert.strictEqual(clientTransport.closeReason, "ü".repeat(61))
  })

  it("keeps what arrives before a session is made", async () => {
    const { clientTransport, peer, transport } = await connect()
    peer.send(ping(42, "SYN"))
    peer.send(ping(43, "SYN"))
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
    const answers = new Promise<Buffer>((resolve) => {
      const parts: Array<Buffer> = []
      clientTransport.onData = (chunk) => {
        parts.push(chunk)
        if (Buffer.concat(parts).length === 24) resolve(Buffer.concat(parts))
      }
    })
    sessionOver(transport)
    assert.deepStrictEqual(await answers, Buffer.concat([ping(42, "ACK"), ping(43, "ACK")]))
  })

  it("ends the session when the WebSocket breaks, with its close code as the cause", async () => {
    const { peer, transport } = await connect()
    const { ended } = sessionOver(transport)
    peer.terminate()
    const error = await ended
    assert.strictEqual(codeOf(error), "transport_closed")
    assert.strictEqual(error?.message, "the transport closed: the WebSocket closed with 1006")
    assert.strictEqual(transport.closeCode, 1006)
  })

  it("holds a sender back while the peer does not read, and lets it go on after", async () => {
    const { clientTransport, transport } = await connect()
    const { session } = sessionOver(transport)
    const client = new Session("client", clientTransport)
    session.onStream = (stream) => stream.resume()
    transport.pause()
    const streams = Array.from({ length: 100 }, () => client.open())
    const finished = streams.map((stream) => once(stream.end(Buffer.alloc(200_000)), "finish"))
    while (clientTransport.bufferedAmount === 0) await new Promise((resolve) => setImmediate(resolve))
    for (let n = 0; n < 50; n++) await new Promise((resolve) => setImmediate(resolve))
    assert.isBelow(clientTransport.bufferedAmount, 512 * 1024 + 2 * 64 * 1024)
    transport.resume()
    await Promise.all(finished)
    await client.close()
  })
})
