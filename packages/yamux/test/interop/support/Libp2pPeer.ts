import { createHash, randomBytes } from "node:crypto"
import { yamux } from "@chainsafe/libp2p-yamux"
import { assert } from "@effect/vitest"
import type { WebSocket } from "ws"

type Muxer = ReturnType<ReturnType<ReturnType<typeof yamux>>["createStreamMuxer"]>
type MessageStream = Parameters<ReturnType<ReturnType<typeof yamux>>["createStreamMuxer"]>[0]
export type Libp2pStream = Awaited<ReturnType<Muxer["createStream"]>>

/** Something with libp2p's loggers' shape that says nothing. */
const silentLog = () => {
  const log = Object.assign(() => {}, {
    error: () => {},
    trace: () => {},
    enabled: false,
    newScope: () => log
  })
  return log
}

class MessageEvent extends Event {
  readonly data: Uint8Array

  constructor(data: Uint8Array) {
    super("message")
    this.data = data
  }
}

/** As much of libp2p's connection as its multiplexer uses, over a WebSocket. */
class Connection extends EventTarget {
  readonly log = silentLog()
  readonly direction: "inbound" | "outbound"
  readonly #webSocket: WebSocket

  constructor(webSocket: WebSocket, direction: "inbound" | "outbound") {
    super()
    this.#webSocket = webSocket
    this.direction = direction
    webSocket.on("message", (data: Buffer) => this.dispatchEvent(new MessageEvent(data)))
    webSocket.on("close", () => this.dispatchEvent(new Event("close")))
  }

  send(data: Uint8Array | { readonly subarray: () => Uint8Array }): boolean {
    this.#webSocket.send(data.subarray(), { binary: true }, () => this.dispatchEvent(new Event("drain")))
    return this.#webSocket.bufferedAmount < 256 * 1024
  }

  abort(): void {
    this.#webSocket.terminate()
  }
}

/** `@chainsafe/libp2p-yamux` over a WebSocket; "outbound" makes it the yamux client. It answers streams. */
export const libp2pPeer = (webSocket: WebSocket, direction: "inbound" | "outbound"): Muxer => {
  const factory = yamux({
    enableKeepAlive: false,
    maxInboundStreams: 2_000,
    maxOutboundStreams: 2_000,
    maxEarlyStreams: 2_000
  })()
  // It needs no more of a MessageStream than `Connection` has.
  const muxer = factory.createStreamMuxer(new Connection(webSocket, direction) as unknown as MessageStream)
  // A stream that we reset ends its answer.
  muxer.addEventListener("stream", ({ detail }) => void answer(detail).catch(() => {}))
  return muxer
}

/** The commands "e", "h" and "s" of go/main.go. */
const answer = async (stream: Libp2pStream): Promise<void> => {
  const hash = createHash("sha256")
  let command: string | undefined
  for await (const part of stream) {
    const chunk = Buffer.from(part.subarray())
    const rest = command === undefined ? chunk.subarray(1) : chunk
    command ??= chunk.subarray(0, 1).toString()
    if (command === "s") {
      const sent = await send(stream, Number(rest.readBigUInt64BE()))
      stream.send(sent)
      break
    }
    if (command === "h") hash.update(rest)
    else if (rest.length > 0 && !stream.send(rest)) await stream.onDrain()
  }
  if (command === "h") stream.send(Buffer.from(hash.digest("hex")))
  await stream.close()
}

const send = async (stream: Libp2pStream, length: number): Promise<Buffer> => {
  const hash = createHash("sha256")
  for (let sent = 0; sent < length;) {
    const chunk = randomBytes(Math.min(64 * 1024, length - sent))
    hash.update(chunk)
    sent += chunk.length
    if (!stream.send(chunk)) await stream.onDrain()
  }
  return hash.digest()
}

/** Opens streams to us at once, half-closes each, and compares what comes back. */
export const libp2pEchoes = async (muxer: Muxer, count: number, limit: number): Promise<void> => {
  await Promise.all(
    Array.from({ length: count }, async (_, n) => {
      const stream = await muxer.createStream()
      const payload = randomBytes((n * 7919) % limit)
      const echoed: Array<Uint8Array> = []
      const reading = (async () => {
        for await (const part of stream) echoed.push(Buffer.from(part.subarray()))
      })()
      stream.send(Buffer.concat([Buffer.from("e"), payload]))
      await stream.close()
      await reading
      assert.isTrue(Buffer.concat(echoed).equals(payload), `stream ${stream.id}`)
    })
  )
}

/** Sends to us, who answer with the hash. */
export const libp2pUpload = async (muxer: Muxer, length: number): Promise<void> => {
  const stream = await muxer.createStream()
  let answered = ""
  const reading = (async () => {
    for await (const part of stream) answered += Buffer.from(part.subarray()).toString()
  })()
  stream.send(Buffer.from("h"))
  const sum = await send(stream, length)
  await stream.close()
  await reading
  assert.strictEqual(answered, sum.toString("hex"))
}
