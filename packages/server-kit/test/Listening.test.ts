import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { once } from "node:events"
import { createServer, type ServerOptions } from "node:http"
import { connect } from "node:net"
import { internalServerOptions, limitConnections, listenScoped } from "../src/Listening.ts"
import { slowHead } from "@edge-relay/testkit/SlowHead"
import { within } from "@edge-relay/testkit/Within"

const serve = (options: ServerOptions, most = 10) =>
  Effect.gen(function* () {
    const server = createServer(options, (_request, response) => response.end("here"))
    yield* limitConnections(server, most)
    return yield* listenScoped(server, "127.0.0.1", 0, "PORT")
  })

describe("Listening", () => {
  it.live("ends a head soon after its time", () =>
    Effect.gen(function* () {
      const port = yield* serve({ ...internalServerOptions, headersTimeout: 100 })
      assert.match(yield* within(5, "an answer", slowHead(port)), /^HTTP\/1\.1 408 /)
    })
  )

  it.live("refuses connections beyond its bound, says so once, and takes others when there is room", () =>
    Effect.gen(function* () {
      const logs: Array<string> = []
      const logger = Logger.layer([Logger.map(Logger.formatJson, (line) => void logs.push(line))])
      const port = yield* serve({}, 1).pipe(Effect.provide(logger))
      const open = Effect.promise(async () => {
        const socket = connect({ port, host: "127.0.0.1" }).on("error", () => {})
        await once(socket, "connect")
        return socket
      })
      const answers = Effect.map(open, (socket) => {
        socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return socket
      }).pipe(
        Effect.flatMap((socket) =>
          Effect.promise(
            () =>
              new Promise<boolean>((resolve) => {
                let received = ""
                socket.on("data", (part) => (received += String(part)))
                socket.on("close", () => resolve(received.endsWith("here")))
              })
          )
        )
      )
      const first = yield* open
      for (let tries = 0; tries < 3; tries++) assert.isFalse(yield* answers)
      assert.lengthOf(logs, 1)
      assert.include(logs[0] ?? "", `"most":1`)
      first.destroy()
      yield* answers.pipe(
        Effect.repeat({ until: (answered) => answered }),
        Effect.timeout("5 seconds"),
        Effect.orDie
      )
    })
  )
})
