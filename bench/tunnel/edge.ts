import { createServer, type Server, type Socket } from "node:net"
import * as TunnelClient from "@edge-relay/tunnel/agent/TunnelClient"
import { Effect, Redacted } from "effect"
import type { EdgeCounts } from "./stoppedReader.ts"

/**
 * `edge.ts URL TOKEN`: an agent with two local services. The first line that either is sent is a number of bytes:
 * `source` sends so many and then, when it is told to over IPC, without end; `sink` reads so many and no more.
 * Answers each question over IPC with its counts.
 */

const [url = "", token = ""] = process.argv.slice(2)
const counts = { sent: 0, received: 0 }
const chunk = Buffer.alloc(64 * 1024)
/** What the latest connection of `source` may still send. */
let left = 0
let send = (): void => undefined

const source = (socket: Socket): void => {
  send = () => {
    while (left > 0) {
      left -= chunk.length
      counts.sent += chunk.length
      if (!socket.write(chunk)) return
    }
  }
  socket.on("drain", () => send())
  socket.once("data", (line) => {
    left = Number(line)
    send()
  })
}

const sink = (socket: Socket): void => {
  let unread = -1
  socket.on("data", (chunk) => {
    // The line is short and comes alone: whoever sends it waits a moment.
    if (unread < 0) unread = Number(chunk)
    else {
      counts.received += chunk.length
      unread -= chunk.length
    }
    if (unread <= 0) socket.pause()
  })
}

const listen = async (serve: (socket: Socket) => void): Promise<number> => {
  const server: Server = createServer((socket) => {
    socket.on("error", () => undefined)
    serve(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  const address = server.address()
  return typeof address === "object" && address !== null ? address.port : 0
}

const services = new Map([
  ["source", { host: "127.0.0.1", port: await listen(source) }],
  ["sink", { host: "127.0.0.1", port: await listen(sink) }]
])

process.on("message", ({ id, question }: { readonly id: number; readonly question: "counts" | "go" }) => {
  if (question === "go") {
    left = Number.POSITIVE_INFINITY
    send()
  }
  const answer: EdgeCounts = { ...counts }
  process.send?.({ id, answer })
})

Effect.runFork(
  TunnelClient.run({
    url,
    token: Redacted.make(token),
    services,
    onStatus: ({ _tag }) => Effect.sync(() => process.stdout.write(`${_tag}\n`))
  })
)
