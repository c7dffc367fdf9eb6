import { assert, describe, it } from "@effect/vitest"
import { DateTime, Effect, Fiber, Option, Schema } from "effect"
import { TestClock } from "effect/testing"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { type CloseReason, SessionStore, type TunnelHandle } from "@edge-relay/domain/tunnels/SessionStore"
import { TokenId } from "@edge-relay/domain/ids/TokenId"

const id = (prefix: string, index: number) => `${prefix}_${String(index).padStart(26, "0")}`
const tokenId = (index: number) => TokenId.make(id("tok", index))
const edgeId = (index: number) => EdgeId.make(id("edge", index))
const tenantId = TenantId.make(id("tenant", 0))

/** What a close does once it is asked for. */
const Closing = Schema.Literals(["works", "is slow", "hangs", "fails"])

interface FakeHandle extends TunnelHandle {
  readonly closed: Array<CloseReason>
}

const makeHandle = (
  token: number,
  now: number,
  closing: typeof Closing.Type = "works",
  onClose: (handle: FakeHandle) => void = () => undefined
): FakeHandle => {
  const closings = {
    works: Effect.void,
    "is slow": Effect.sleep("5 seconds"),
    hangs: Effect.never,
    fails: Effect.die("the socket is gone")
  }
  const handle: FakeHandle = {
    closed: [],
    edgeId: edgeId(token),
    tokenId: tokenId(token),
    lastHeardAt: now,
    summary: () => ({
      edgeId: edgeId(token),
      tenantId,
      tokenId: tokenId(token),
      connectedAt: DateTime.makeUnsafe(now),
      lastHeartbeatAt: DateTime.makeUnsafe(handle.lastHeardAt),
      protocol: "v2",
      agent: null,
      hostname: null,
      services: ["http"],
      remoteAddress: null,
      roundTripMillis: null,
      streams: 0,
      bytesIn: 0,
      bytesOut: 0,
      proxyId: "proxy"
    }),
    open: () => Effect.die("nobody dials here"),
    close: (reason) =>
      Effect.suspend(() => {
        handle.closed.push(reason)
        onClose(handle)
        return closings[closing]
      })
  }
  return handle
}

const now = Effect.clockWith((clock) => Effect.sync(() => clock.currentTimeMillisUnsafe()))

describe("SessionStore", () => {
  it.effect("gives back what was registered, until it is unregistered", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const handle = makeHandle(1, 0)
      assert.isFalse(yield* store.register(tokenId(1), handle))
      assert.strictEqual(Option.getOrUndefined(yield* store.lookup(tokenId(1))), handle)
      assert.strictEqual(Option.getOrUndefined(yield* store.lookupEdge(edgeId(1))), handle)
      assert.isTrue(yield* store.exists(tokenId(1)))
      assert.isTrue(yield* store.unregister(tokenId(1), handle))
      assert.isFalse(yield* store.unregister(tokenId(1), handle))
      assert.isFalse(yield* store.exists(tokenId(1)))
      assert.isTrue(Option.isNone(yield* store.lookupEdge(edgeId(1))))
      assert.deepStrictEqual(handle.closed, [])
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect(
    "closes the displaced handle once, and keeps the newer one through the older one's tear-down",
    () =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const [older, newer] = [makeHandle(1, 0), makeHandle(1, 0)]
        yield* store.register(tokenId(1), older)
        assert.isTrue(yield* store.register(tokenId(1), newer))
        assert.deepStrictEqual(older.closed, ["displaced"])
        assert.isFalse(yield* store.unregister(tokenId(1), older))
        assert.strictEqual(Option.getOrUndefined(yield* store.lookup(tokenId(1))), newer)
        assert.deepStrictEqual(newer.closed, [])
      }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("takes a handle that registers twice for itself, and not for a rival", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const handle = makeHandle(1, 0)
      yield* store.register(tokenId(1), handle)
      assert.isFalse(yield* store.register(tokenId(1), handle))
      assert.deepStrictEqual(handle.closed, [])
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("waits for no close, whether it hangs, fails or is slow", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      // Time stands still in this test: whatever waited for a close would never end.
      for (const closing of Closing.literals) {
        yield* store.register(tokenId(1), makeHandle(1, 0, closing))
      }
      const last = makeHandle(1, 0)
      assert.isTrue(yield* store.register(tokenId(1), last))
      assert.strictEqual(Option.getOrUndefined(yield* store.lookup(tokenId(1))), last)
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("closes the displaced handle even where the one that registers is interrupted", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const older = makeHandle(1, 0)
      yield* store.register(tokenId(1), older)
      const fiber = yield* Effect.forkChild(store.register(tokenId(1), makeHandle(1, 0)), {
        startImmediately: true
      })
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(older.closed, ["displaced"])
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("finds the session that an edge registered last, while its token is being replaced", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const [older, newer] = [makeHandle(1, 0), makeHandle(1, 0)]
      yield* store.register(tokenId(1), older)
      yield* store.register(tokenId(2), newer)
      assert.strictEqual(Option.getOrUndefined(yield* store.lookupEdge(edgeId(1))), newer)
      yield* store.unregister(tokenId(1), older)
      assert.strictEqual(Option.getOrUndefined(yield* store.lookupEdge(edgeId(1))), newer)
      assert.deepStrictEqual(older.closed, [])
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("lists copies", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const handle = makeHandle(1, 0)
      yield* store.register(tokenId(1), handle)
      const [listed] = yield* store.list
      yield* TestClock.adjust("1 minute")
      yield* store.heartbeat(tokenId(1))
      assert.strictEqual(handle.lastHeardAt, 60_000)
      assert.strictEqual(listed?.lastHeartbeatAt.epochMilliseconds, 0)
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("does not know a heartbeat without a session", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const error = yield* Effect.flip(store.heartbeat(tokenId(7)))
      assert.strictEqual(error._tag, "SessionNotFound")
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("cleans up what was silent for longer, and nothing that beat in time", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const [silent, beating] = [makeHandle(1, 0), makeHandle(2, 0)]
      yield* store.register(tokenId(1), silent)
      yield* store.register(tokenId(2), beating)
      yield* TestClock.adjust("45 seconds")
      assert.strictEqual(yield* store.cleanupExpired("45 seconds"), 0)
      yield* store.heartbeat(tokenId(2))
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* store.cleanupExpired("45 seconds"), 1)
      assert.deepStrictEqual(silent.closed, ["heartbeat_timeout"])
      assert.deepStrictEqual(beating.closed, [])
      assert.isFalse(yield* store.exists(tokenId(1)))
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("re-checks each session in the moment in which it is removed", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      // Whichever is closed first, the others beat in that moment: after clean-up began, before it reaches them.
      const handles: ReadonlyArray<FakeHandle> = [1, 2, 3].map((token) =>
        makeHandle(token, 0, "works", (closed) => {
          for (const other of handles) if (other !== closed) other.lastHeardAt = 60_000
        })
      )
      for (const [index, handle] of handles.entries()) yield* store.register(tokenId(index + 1), handle)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual(yield* store.cleanupExpired("45 seconds"), 1)
      assert.strictEqual(handles.flatMap(({ closed }) => closed).length, 1)
      assert.strictEqual((yield* store.list).length, 2)
    }).pipe(Effect.provide(SessionStore.layer))
  )

  it.effect("does not clean up a session that took a silent one's place meanwhile", () =>
    Effect.gen(function* () {
      const store = yield* SessionStore
      const fresh = [makeHandle(1, 60_000), makeHandle(2, 60_000)] as const
      // The first that is closed brings a new session for the other's token, and that one's close for its own.
      yield* store.register(tokenId(1), {
        ...makeHandle(1, 0),
        close: () => Effect.asVoid(store.register(tokenId(2), fresh[1]))
      })
      yield* store.register(tokenId(2), {
        ...makeHandle(2, 0),
        close: () => Effect.asVoid(store.register(tokenId(1), fresh[0]))
      })
      yield* TestClock.adjust("1 minute")
      yield* store.cleanupExpired("45 seconds")
      assert.strictEqual((yield* store.list).length, 2)
      assert.deepStrictEqual([...fresh[0].closed, ...fresh[1].closed], [])
    }).pipe(Effect.provide(SessionStore.layer))
  )
})

const Token = Schema.Literals([0, 1, 2])

const Operation = Schema.Union([
  Schema.Struct({ op: Schema.Literal("register"), token: Token, closing: Closing }),
  // Which of the token's handles so far: old ones tear down late, and twice.
  Schema.Struct({ op: Schema.Literal("unregister"), token: Token, nth: Schema.Literals([0, 1, 2, 3]) }),
  Schema.Struct({ op: Schema.Literal("heartbeat"), token: Token }),
  Schema.Struct({ op: Schema.Literal("look"), token: Token }),
  Schema.Struct({ op: Schema.Literal("cleanup") }),
  Schema.Struct({ op: Schema.Literal("pass"), seconds: Schema.Literals([1, 7, 31]) }),
  Schema.Struct({ op: Schema.Literal("yield") })
])

const Program = Schema.Array(Operation).check(Schema.isMinLength(5), Schema.isMaxLength(30))
const SILENCE = 30_000

/** `npm run interleavings` asks for ten thousand, three times. */
const interleavings = Number(process.env["INTERLEAVINGS"] ?? 3000)

describe("SessionStore, whatever happens", () => {
  it.effect.prop(
    "does in one fiber exactly what a map does",
    [Program],
    ([program]) =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const handles = [0, 1, 2].map((): Array<FakeHandle> => [])
        const model = new Map<number, FakeHandle>()
        for (const step of program) {
          if (step.op === "register") {
            const handle = makeHandle(step.token, yield* now, step.closing)
            const displaced = model.get(step.token)
            assert.strictEqual(yield* store.register(tokenId(step.token), handle), displaced !== undefined)
            assert.deepStrictEqual(displaced?.closed ?? ["displaced"], ["displaced"])
            model.set(step.token, handle)
            handles[step.token]?.push(handle)
          } else if (step.op === "unregister") {
            const handle = handles[step.token]?.[step.nth]
            if (handle === undefined) continue
            const current = model.get(step.token) === handle
            assert.strictEqual(yield* store.unregister(tokenId(step.token), handle), current)
            if (current) model.delete(step.token)
          } else if (step.op === "heartbeat") {
            const found = yield* Effect.isSuccess(store.heartbeat(tokenId(step.token)))
            assert.strictEqual(found, model.has(step.token))
          } else if (step.op === "cleanup") {
            const time = yield* now
            const expired = Array.from(model).filter(([, handle]) => time - handle.lastHeardAt > SILENCE)
            assert.strictEqual(yield* store.cleanupExpired(SILENCE), expired.length)
            for (const [token, handle] of expired) {
              model.delete(token)
              assert.deepStrictEqual(handle.closed, ["heartbeat_timeout"])
            }
          } else if (step.op === "pass") yield* TestClock.adjust(step.seconds * 1000)
          for (const token of Token.literals) {
            const found = Option.getOrUndefined(yield* store.lookup(tokenId(token)))
            assert.strictEqual(found, model.get(token))
            assert.isEmpty(model.get(token)?.closed ?? [])
          }
          assert.strictEqual((yield* store.list).length, model.size)
        }
      }).pipe(Effect.provide(SessionStore.layer, { local: true })),
    { arbitrary: { runs: 300 }, timeout: 60_000 }
  )

  it.effect.prop(
    "never has two live handles for a token, closes each displaced one once, and none that beat in time",
    [Schema.Array(Program).check(Schema.isMinLength(2), Schema.isMaxLength(6))],
    ([programs]) =>
      Effect.gen(function* () {
        const store = yield* SessionStore
        const handles = [0, 1, 2].map((): Array<FakeHandle> => [])
        const displacements = [0, 0, 0]
        const unregistered = new Map<FakeHandle, number>()
        let time = 0
        let expired = 0

        const run = Effect.fnUntraced(function* (program: typeof Program.Type) {
          for (const step of program) {
            yield* Effect.yieldNow
            if (step.op === "register") {
              const handle = makeHandle(step.token, time, step.closing, ({ closed, lastHeardAt }) => {
                if (closed.includes("heartbeat_timeout")) assert.isAbove(time - lastHeardAt, SILENCE)
              })
              handles[step.token]?.push(handle)
              const displaced = yield* store.register(tokenId(step.token), handle)
              displacements[step.token] = (displacements[step.token] ?? 0) + Number(displaced)
            } else if (step.op === "unregister") {
              const handle = handles[step.token]?.[step.nth]
              if (handle === undefined) continue
              const removed = yield* store.unregister(tokenId(step.token), handle)
              if (removed) unregistered.set(handle, (unregistered.get(handle) ?? 0) + 1)
            } else if (step.op === "heartbeat") yield* Effect.ignore(store.heartbeat(tokenId(step.token)))
            else if (step.op === "look") {
              const live = yield* Effect.map(store.lookup(tokenId(step.token)), (found) =>
                Option.match(found, { onNone: () => true, onSome: (handle) => isOpen(handle) })
              )
              assert.isTrue(live, "looked up a handle that was displaced or expired")
              const listed = (yield* store.list).map(({ tokenId }) => tokenId)
              assert.strictEqual(new Set(listed).size, listed.length, "two live handles for one token")
            } else if (step.op === "cleanup") expired += yield* store.cleanupExpired(SILENCE)
            else if (step.op === "pass") {
              time += step.seconds * 1000
              yield* TestClock.setTime(time)
            }
          }
        })
        const isOpen = (handle: TunnelHandle) =>
          !handles.flat().some((one) => one === handle && one.closed.length > 0)

        yield* Effect.forEach(programs, run, { concurrency: "unbounded" })

        let timeouts = 0
        for (const token of Token.literals) {
          const current = Option.getOrUndefined(yield* store.lookup(tokenId(token)))
          const all = handles[token] ?? []
          for (const handle of all) {
            // Each handle has exactly one fate.
            const fates = Number(handle === current) + handle.closed.length + (unregistered.get(handle) ?? 0)
            assert.strictEqual(fates, 1)
          }
          const displaced = all.filter(({ closed }) => closed.includes("displaced"))
          assert.strictEqual(displaced.length, displacements[token])
          timeouts += all.filter(({ closed }) => closed.includes("heartbeat_timeout")).length
        }
        assert.strictEqual(timeouts, expired)
      }).pipe(Effect.provide(SessionStore.layer, { local: true })),
    { arbitrary: { runs: interleavings }, timeout: interleavings * 40 }
  )
})
