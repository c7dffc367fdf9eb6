import { NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Option } from "effect"
import * as ControlSocket from "../src/ControlSocket.ts"

const withFolder = <A, E, R>(use: (folder: string) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    return yield* use(yield* fs.makeTempDirectoryScoped())
  }).pipe(Effect.provide(NodeServices.layer))

describe("ControlSocket", () => {
  it.live("answers how the agent is, and refuses a second agent", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        assert.isUndefined(yield* ControlSocket.ask(folder))
        yield* Effect.scoped(
          Effect.gen(function* () {
            const tell = yield* ControlSocket.serve(folder)
            yield* tell({ state: "connected", detail: "wss://tunnel.example.com" })
            const answer = yield* ControlSocket.ask(folder)
            assert.strictEqual(Option.getOrThrow(answer ?? Option.none()).state, "connected")
            assert.strictEqual((yield* Effect.flip(ControlSocket.serve(folder)))._tag, "AlreadyRunning")
          })
        )
        assert.isUndefined(yield* ControlSocket.ask(folder))
      })
    )
  )

  it.live("takes the place of an agent that was killed", () =>
    withFolder((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* fs.writeFileString(`${folder}/agent.sock`, "")
        yield* Effect.scoped(ControlSocket.serve(folder))
      })
    )
  )
})
