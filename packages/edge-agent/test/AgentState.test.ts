import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { NodeCrypto, NodeServices } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Redacted } from "effect"
import { AgentState, Credentials, defaultFolder } from "../src/AgentState.ts"

const credentials = (token: string) =>
  new Credentials({
    cloudUrl: "https://relay.example.com",
    edgeId: EdgeId.make("edge_01h455vb4pex5vsknk084sn02q"),
    token: Redacted.make(token),
    tunnelUrl: "wss://tunnel.example.com",
    services: { http: "http://127.0.0.1:8080" }
  })

/** A state folder of its own, in a temporary one. */
const withState = <A, E>(use: (folder: string) => Effect.Effect<A, E, AgentState | FileSystem.FileSystem>) =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const folder = `${yield* fs.makeTempDirectoryScoped()}/edge-relay`
    return yield* Effect.provide(use(folder), AgentState.layer(folder))
  }).pipe(Effect.provide(Layer.mergeAll(NodeServices.layer, NodeCrypto.layer)))

describe("AgentState", () => {
  it.effect("keeps the credentials in a file that only its owner can read", () =>
    withState((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const state = yield* AgentState
        yield* state.write(credentials("ert_first"))
        yield* state.write(credentials("ert_second"))
        const read = yield* state.read
        assert.strictEqual(Redacted.value(read.token), "ert_second")
        assert.strictEqual((yield* fs.stat(state.file)).mode & 0o777, 0o600)
        assert.strictEqual((yield* fs.stat(folder)).mode & 0o777, 0o700)
        // Nothing is left of the writing.
        assert.deepEqual(yield* fs.readDirectory(folder), ["credentials.json"])
      })
    )
  )

  it.effect("says that the machine is not paired, or that its file is damaged", () =>
    withState((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const state = yield* AgentState
        assert.strictEqual((yield* Effect.flip(state.read))._tag, "NotPaired")
        yield* fs.makeDirectory(folder)
        yield* fs.writeFileString(state.file, '{"token":"ert_')
        assert.include((yield* Effect.flip(state.read)).message, "damaged")
      })
    )
  )

  it.effect("leaves the old credentials where the new ones cannot be written", () =>
    withState((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        const state = yield* AgentState
        yield* fs.makeDirectory(state.file, { recursive: true })
        const error = yield* Effect.flip(state.write(credentials("ert_new")))
        assert.include(error.message, "cannot be written")
        assert.deepEqual(yield* fs.readDirectory(folder), ["credentials.json"])
      })
    )
  )

  it.effect("knows beforehand that its folder cannot be written, and makes nothing to find out", () =>
    withState((folder) =>
      Effect.gen(function* () {
        const fs = yield* FileSystem.FileSystem
        yield* (yield* AgentState).checkWritable
        assert.isFalse(yield* fs.exists(folder))
        // A file is where a folder would have to be.
        yield* fs.writeFileString(folder, "")
        const error = yield* Effect.flip((yield* AgentState).checkWritable)
        assert.include(error.message, "cannot be written")
      })
    )
  )

  it("finds the user's configuration folder, and ignores a relative one", () => {
    assert.strictEqual(defaultFolder({}, "/home/a"), "/home/a/.config/edge-relay")
    assert.strictEqual(defaultFolder({ XDG_CONFIG_HOME: "/c" }, "/home/a"), "/c/edge-relay")
    assert.strictEqual(defaultFolder({ XDG_CONFIG_HOME: "c" }, "/home/a"), "/home/a/.config/edge-relay")
  })
})
