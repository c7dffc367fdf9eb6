import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem } from "effect"
import * as ControlSocket from "../src/ControlSocket.ts"

const withFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeServices.layer))

const about = {
  edgeId: "edge_01h455vb4pex5vsknk084sn02q",
  cloudUrl: "https://relay.example.com",
  services: { http: "http://127.0.0.1:8080" },
  version: "1.2.3",
  pid: 1
}
const nobody = { _tag: "nobody" }

describe("ControlSocket", () => {
  it.live("answers how the agent is, and refuses a second agent", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        assert.deepEqual(yield* ControlSocket.ask(folder), nobody)
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { tell } = yield* ControlSocket.serve(folder, about)
            yield* tell({ state: "connected", detail: "wss://tunnel.example.com" })
            const answer = yield* ControlSocket.ask(folder)
            assert.strictEqual(answer._tag === "status" ? answer.status.state : answer._tag, "connected")
            assert.strictEqual(
              (yield* Effect.flip(ControlSocket.serve(folder, about)))._tag,
              "AlreadyRunning"
            )
          })
        )
        assert.deepEqual(yield* ControlSocket.ask(folder), nobody)
      })
    )
  )

  it.live("takes the place of an agent that was killed", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${folder}/agent.sock`, "")
        yield* Effect.scoped(ControlSocket.serve(folder, about))
      })
    )
  )

  it.live("works in a folder whose path is too long for a socket, and leaves nothing there", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const long = `${folder}/${"long/".repeat(30)}`
        yield* fs.makeDirectory(long, { recursive: true })
        yield* Effect.scoped(
          Effect.gen(function* () {
            const { tell } = yield* ControlSocket.serve(long, about)
            yield* tell({ state: "waiting", detail: null })
            assert.strictEqual((yield* ControlSocket.ask(long))._tag, "status")
            assert.strictEqual((yield* Effect.flip(ControlSocket.serve(long, about)))._tag, "AlreadyRunning")
          })
        )
        assert.deepEqual(yield* ControlSocket.ask(long), nobody)
        assert.deepEqual(yield* fs.readDirectory(long), [])
      })
    )
  )

  it.live("says why there can be no socket, and not that an agent is running", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        // Nobody may write there, not even root.
        const readOnly = yield* Effect.flip(ControlSocket.serve("/proc", about))
        assert.match(readOnly.message, /^cannot make the agent's socket \/proc\/agent\.sock \(E[A-Z]+\)$/)
        yield* fs.makeDirectory(`${folder}/agent.sock/full`, { recursive: true })
        const taken = yield* Effect.flip(ControlSocket.serve(folder, about))
        assert.strictEqual(taken._tag, "SocketUnusable")
      })
    )
  )
})
