import { readFile, rm, writeFile } from "node:fs/promises"
import { echo, startLocal } from "@edge-relay/testkit/tunnel/LocalServer"
import { eventuallyEffect } from "@edge-relay/testkit/Eventually"
import { agent, folder } from "@edge-relay/testkit/RelaySystem"
import { closed, readAll, readExactly } from "@edge-relay/testkit/Streams"
import { startProxy, type TestProxy } from "@edge-relay/testkit/tunnel/TestTunnelServer"
import { tokenOf } from "@edge-relay/testkit/TestTokens"
import * as RequestId from "@edge-relay/server-kit/RequestId"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"

/** The real process, against a real tunnel server. */
const start = Effect.fnUntraced(function* (...args: ReadonlyArray<string>) {
  const proxy = yield* startProxy()
  const local = yield* startLocal(echo)
  const state = yield* Effect.acquireRelease(Effect.promise(folder), (made) =>
    Effect.promise(() => made[Symbol.asyncDispose]())
  )
  const file = `${state.path}/credentials.json`
  const pairAs = (index: number, services: Record<string, string> = {}) =>
    Effect.promise(() =>
      writeFile(
        file,
        JSON.stringify({
          cloudUrl: "http://127.0.0.1:1",
          edgeId: tokenOf(index).edgeId,
          token: `ert_${index}`,
          tunnelUrl: proxy.url,
          services: { http: `http://127.0.0.1:${local.port}`, ...services }
        })
      )
    )
  yield* pairAs(1)
  const program = yield* Effect.acquireRelease(
    Effect.sync(() => agent(["run", ...args], state.path)),
    (running) => Effect.promise(() => running[Symbol.asyncDispose]())
  )
  yield* online(proxy, 1)
  return { file, local, pairAs, program, proxy, state: state.path }
})

const online = (proxy: TestProxy, index: number) =>
  eventuallyEffect(`edge ${index} online`, proxy.store.exists(tokenOf(index).tokenId))

const open = (proxy: TestProxy, service = "http", index = 1) =>
  Effect.map(proxy.tunnels.open(tokenOf(index).edgeId, service), ({ stream }) => stream)

const statusOf = (state: string, ...args: ReadonlyArray<string>) =>
  Effect.promise(async () => {
    const status = agent(["status", ...args], state)
    const code = await status.exited
    return { code, output: status.output }
  })

describe("edge-relay run", () => {
  it.live(
    "drains at SIGTERM: takes nothing new, and ends when the last stream has ended",
    () =>
      Effect.gen(function* () {
        const { program, proxy, state } = yield* start()
        const stream = yield* open(proxy)
        program.child.kill("SIGTERM")
        yield* Effect.promise(() => program.printed(/waiting up to 10 s for 1 open streams/))
        assert.include((yield* statusOf(state)).output, "draining")
        yield* eventuallyEffect(
          "nothing new",
          Effect.map(Effect.result(open(proxy)), ({ _tag }) => _tag === "Failure")
        )
        stream.write("still here")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(stream, 10))), "still here")
        stream.end()
        yield* Effect.promise(() => readAll(stream))
        assert.strictEqual(yield* Effect.promise(() => program.exited), 0)
      }),
    60_000
  )

  it.live(
    "cuts what is still open after the grace that it was given",
    () =>
      Effect.gen(function* () {
        const { program, proxy } = yield* start("--grace", "1")
        const stream = yield* open(proxy)
        const cut = closed(stream)
        program.child.kill("SIGTERM")
        assert.strictEqual(yield* Effect.promise(() => program.exited), 0)
        yield* Effect.promise(() => cut)
        assert.include(program.output, "waiting up to 1 s")
      }),
    60_000
  )

  it.live(
    "offers other services while it runs; streams of those that are gone end after the grace, and no others",
    () =>
      Effect.gen(function* () {
        const { local, pairAs, proxy, state } = yield* start("--grace", "1")
        const stream = yield* open(proxy)
        yield* pairAs(1, { echo: `tcp://127.0.0.1:${local.port}` })
        yield* eventuallyEffect(
          "the cloud to hear of it",
          Effect.map(proxy.store.list, ([session]) => session?.services.includes("echo") === true)
        )
        const other = yield* open(proxy, "echo")
        other.write("hello")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(other, 5))), "hello")
        stream.write("still")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(stream, 5))), "still")
        assert.include((yield* statusOf(state)).output, "echo")
        yield* pairAs(1)
        yield* eventuallyEffect(
          "no such service",
          Effect.map(Effect.result(open(proxy, "echo")), ({ _tag }) => _tag === "Failure")
        )
        yield* Effect.promise(() => closed(other))
        stream.write("still")
        assert.strictEqual(String(yield* Effect.promise(() => readExactly(stream, 5))), "still")
      }),
    60_000
  )

  it.live(
    "notices that the machine was paired anew, says so, and becomes the new edge",
    () =>
      Effect.gen(function* () {
        const { file, pairAs, program, proxy, state } = yield* start()
        const { edgeId } = tokenOf(2)
        const before = yield* statusOf(state, "--json")
        assert.deepInclude(JSON.parse(before.output), {
          edgeId: tokenOf(1).edgeId,
          pairedAs: tokenOf(1).edgeId
        })
        yield* pairAs(2)
        yield* Effect.promise(() =>
          program.printed(new RegExp(`credentials were changed: this machine is edge ${edgeId}`))
        )
        yield* online(proxy, 2)
        yield* eventuallyEffect(
          "the old edge is gone",
          Effect.map(proxy.store.exists(tokenOf(1).tokenId), (is) => !is)
        )
        const after = JSON.parse((yield* statusOf(state, "--json")).output)
        assert.deepInclude(after, { edgeId, pairedAs: edgeId })
        assert.deepInclude(after.agent, { state: "connected", pid: program.child.pid })
        // Damaged, it goes on; gone, it ends.
        const text = yield* Effect.promise(() => readFile(file, "utf8"))
        yield* Effect.promise(() => writeFile(file, text.slice(0, 20)))
        yield* Effect.promise(() => program.printed(/damaged.*going on with what was read before/))
        assert.isTrue(yield* proxy.store.exists(tokenOf(2).tokenId))
        const running = JSON.parse((yield* statusOf(state, "--json")).output)
        assert.deepInclude(running, { edgeId, pairedAs: null })
        yield* Effect.promise(() => rm(file))
        assert.strictEqual(yield* Effect.promise(() => program.exited), 4)
      }),
    60_000
  )

  it.live(
    "says in its log that a local server takes no connection, and not a line for each",
    () =>
      Effect.gen(function* () {
        const { pairAs, program, proxy } = yield* start()
        yield* pairAs(1, { gone: "tcp://127.0.0.1:1" })
        yield* Effect.promise(() => program.printed(/the services were changed/))
        for (let tries = 0; tries < 5; tries++)
          yield* Effect.flip(open(proxy, "gone").pipe(RequestId.during(`asked-${tries}`)))
        yield* Effect.promise(() =>
          program.printed(
            /service gone took no connection at 127\.0\.0\.1:1 \(.*ECONNREFUSED.*requestId=asked-0/
          )
        )
        assert.strictEqual(program.output.match(/took no connection/g)?.length, 1)
      }),
    60_000
  )
})
