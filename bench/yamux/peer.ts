/**
 * The yamux engine of packages/tunnel over `ws`, doing what bench/yamux/go does.
 *
 *     node bench/yamux/peer.ts serve                           prints "listening HOST:PORT"
 *     node bench/yamux/peer.ts run HOST:PORT SCENARIO AMOUNT   prints "result NUMBER"
 */
import { once } from "node:events"
import type { AddressInfo } from "node:net"
import { Session } from "@edge-relay/yamux/Session"
import type { Stream } from "@edge-relay/yamux/Stream"
import { WebSocketTransport } from "@edge-relay/tunnel/websocket/WebSocketTransport"
import { WebSocket, WebSocketServer } from "ws"

const options = { perMessageDeflate: false, maxPayload: WebSocketTransport.maxPayload }

const block = Buffer.alloc(64 * 1024)

const pour = (stream: Stream, count: number): void => {
  let sent = 0
  const more = (): void => {
    while (sent < count) {
      const size = Math.min(block.length, count - sent)
      sent += size
      if (!stream.write(size === block.length ? block : block.subarray(0, size))) return
    }
    stream.off("drain", more)
  }
  stream.on("drain", more)
  more()
}

/** Takes so many bytes, then calls back. */
const take = (stream: Stream, count: number, done: () => void): void => {
  let received = 0
  const onData = (chunk: Buffer): void => {
    received += chunk.length
    if (received < count) return
    stream.off("data", onData)
    done()
  }
  stream.on("data", onData)
}

const answer = (stream: Stream): void => {
  stream.once("readable", () => {
    const command = stream.read(1)?.toString()
    if (command === "e") {
      stream.pipe(stream)
      return
    }
    const count = Number(stream.read(8)?.readBigUInt64BE() ?? 0)
    if (command === "u") {
      take(stream, count, () => stream.write("1"))
      stream.on("end", () => stream.end())
    } else {
      pour(stream, count)
      stream.on("end", () => stream.end())
      stream.resume()
    }
  })
}

const serve = async (): Promise<void> => {
  const server = new WebSocketServer({ ...options, host: "127.0.0.1", port: 0 })
  server.on("connection", (webSocket) => {
    new Session("server", new WebSocketTransport(webSocket)).onStream = answer
  })
  await once(server, "listening")
  // A listening TCP server's address is an object.
  console.log(`listening 127.0.0.1:${(server.address() as AddressInfo).port}`)
}

const request = (session: Session, command: string, count: number): Stream => {
  const stream = session.open()
  const head = Buffer.alloc(9, command)
  head.writeBigUInt64BE(BigInt(count), 1)
  stream.write(head)
  return stream
}

const perSecond = (count: number, began: number): number => count / ((performance.now() - began) / 1000)

const up = async (session: Session, count: number): Promise<number> => {
  const stream = request(session, "u", count)
  const began = performance.now()
  pour(stream, count)
  await new Promise<void>((done) => take(stream, 1, done))
  stream.destroy()
  return perSecond(count / 1e6, began)
}

const down = async (session: Session, count: number): Promise<number> => {
  const began = performance.now()
  const stream = request(session, "d", count)
  await new Promise<void>((done) => take(stream, count, done))
  stream.destroy()
  return perSecond(count / 1e6, began)
}

const echoes = async (session: Session, count: number, width: number): Promise<number> => {
  const question = Buffer.alloc(1024)
  const each = Math.floor(count / width)
  const began = performance.now()
  const one = (): Promise<void> =>
    new Promise((done) => {
      const stream = session.open()
      stream.write("e")
      stream.write(question)
      let asked = 1
      let missing = question.length
      stream.on("data", (chunk: Buffer) => {
        missing -= chunk.length
        if (missing > 0) return
        if (asked === each) {
          stream.destroy()
          return done()
        }
        asked++
        missing = question.length
        stream.write(question)
      })
    })
  await Promise.all(Array.from({ length: width }, one))
  return perSecond(each * width, began)
}

const cycles = async (session: Session, count: number, width: number): Promise<number> => {
  const question = Buffer.alloc(65, "e")
  const each = Math.floor(count / width)
  const began = performance.now()
  const one = (): Promise<void> =>
    new Promise((done) => {
      let left = each
      const next = (): void => {
        if (left-- === 0) return done()
        const stream = session.open()
        let missing = 64
        stream.on("data", (chunk: Buffer) => {
          missing -= chunk.length
          if (missing === 0) stream.end()
        })
        stream.on("end", next)
        stream.write(question)
      }
      next()
    })
  await Promise.all(Array.from({ length: width }, one))
  return perSecond(each * width, began)
}

const scenarios: Readonly<Record<string, (session: Session, amount: number) => Promise<number>>> = {
  up,
  down,
  echo64: (session, amount) => echoes(session, amount, 64),
  cycle1: (session, amount) => cycles(session, amount, 1),
  cycle16: (session, amount) => cycles(session, amount, 16)
}

const run = async (address: string, name: string, amount: number): Promise<void> => {
  const scenario = scenarios[name]
  if (scenario === undefined) throw new Error(`unknown scenario ${name}`)
  const webSocket = new WebSocket(`ws://${address}`, options)
  const session = new Session("client", new WebSocketTransport(webSocket))
  await once(webSocket, "open")
  await scenario(session, Math.floor(amount / 10))
  console.log(`result ${await scenario(session, amount)}`)
  await session.close()
}

process.on("SIGINT", () => process.exit(0))

const [command, address = "", name = "", amount = "0"] = process.argv.slice(2)
await (command === "serve" ? serve() : run(address, name, Number(amount)))
