import { once } from "node:events"
import { assert, describe, it } from "@effect/vitest"
import { WebSocket } from "ws"
import { Client, Server } from "yamux-js"
import { listen } from "./support/Sockets.ts"

/**
 * `yamux-js` 0.2.0 acknowledges nothing, ends nothing by `end()`, loses a payload that comes in two messages
 * and takes at most 256 streams in its life. What it can do works: its edges are in the field.
 */
const config = { enableKeepAlive: false, logger: () => {} }

const connect = async (role: "client" | "server", peer: Client | Server) => {
  const listening = await listen()
  const accepting = listening.session(role)
  const webSocket = new WebSocket(listening.url, { perMessageDeflate: false })
  await once(webSocket, "open")
  webSocket.on("message", (message: Buffer) => peer.write(message))
  peer.on("data", (chunk: Buffer) => webSocket.send(chunk))
  const session = await accepting
  return {
    session,
    close: () => {
      session.destroy()
      webSocket.terminate()
      listening.close()
    }
  }
}

/** Of its streams and of ours, what `exchange` uses. */
interface EchoingStream {
  readonly on: (event: "data", listener: (chunk: Buffer) => void) => unknown
  readonly write: (chunk: Buffer) => unknown
}

const exchange = async (stream: EchoingStream, payload: Buffer): Promise<Buffer> => {
  const received: Array<Buffer> = []
  const whole = new Promise<void>((resolve) => {
    let length = 0
    stream.on("data", (chunk: Buffer) => {
      received.push(chunk)
      length += chunk.length
      if (length >= payload.length) resolve()
    })
  })
  stream.write(payload)
  await whole
  return Buffer.concat(received)
}

describe("interop with yamux-js", () => {
  it("Y97 it answers 64 streams of ours at once, with bulk on one of them", { timeout: 60_000 }, async () => {
    const server = new Server((stream) => stream.pipe(stream), config)
    const { close, session } = await connect("client", server)
    const sizes = [1_000_000, ...Array.from({ length: 63 }, (_, n) => 1 + n * 300)]
    const streams = sizes.map(async (size) => {
      const stream = session.open()
      const payload = Buffer.alloc(size, `stream ${stream.id};`)
      assert.isTrue((await exchange(stream, payload)).equals(payload), `stream ${stream.id}`)
      return stream
    })
    const all = await Promise.all(streams)
    for (const stream of all) stream.destroy()
    assert.isAtLeast(await session.ping(), 0)
    assert.strictEqual(session.stats.streams, 0)
    close()
  })

  it(
    "Y97 it opens 64 streams to us at once, closes them, and gets what we send before our end",
    {
      timeout: 60_000
    },
    async () => {
      const client = new Client(config)
      const { close, session } = await connect("server", client)
      let ended = 0
      const allEnded = new Promise<void>((resolve) => {
        session.onStream = (stream) => {
          stream.on("end", () => ++ended === 64 && resolve())
          stream.pipe(stream)
        }
      })
      await Promise.all(
        Array.from({ length: 64 }, async (_, n) => {
          const stream = client.open()
          const payload = Buffer.alloc(1 + n * 1_000, `stream ${n};`)
          assert.isTrue((await exchange(stream, payload)).equals(payload), `stream ${n}`)
          stream.close()
        })
      )
      await allEnded
      while (session.stats.streams > 0) await new Promise((resolve) => setImmediate(resolve))
      assert.isFalse(session.closed)
      close()
    }
  )
})
