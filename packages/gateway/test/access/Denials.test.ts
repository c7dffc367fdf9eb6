import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { SessionIdHash, type SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { SecureRandom } from "effect/crypto"
import * as Denials from "../../src/access/Denials.ts"

const layer = AuditLog.layerMemory.pipe(Layer.provideMerge(SecureRandom.layerWebCrypto))

const signedIn = Effect.gen(function* () {
  const session: SignInSession = {
    id: SignInSessionId.make(yield* TypeId.make("sess")),
    idHash: SessionIdHash.make("h".repeat(43)),
    userId: UserId.make(yield* TypeId.make("user")),
    tenantId: TenantId.make(yield* TypeId.make("tenant")),
    issuer: "https://issuer.test",
    subject: "subject",
    sid: null,
    name: null,
    email: null,
    picture: null,
    role: "admin",
    address: "127.0.0.1",
    userAgent: "test",
    createdAt: 0,
    lastSeenAt: 0,
    idleMillis: 3_600_000,
    expiresAt: 7_200_000,
    sealed: "",
    browser: SessionIdHash.make("b".repeat(43)),
    refreshAt: null
  }
  return session
})

const newEdgeId = Effect.map(TypeId.make("edge"), (id) => EdgeId.make(id))

const setup = Effect.gen(function* () {
  const audit = yield* AuditLog
  const record = yield* Denials.make
  const deny = (caller: SignInSession, edgeId: string, code = "edge_not_found") =>
    record({ caller, edgeId, code, address: "127.0.0.1", requestId: "1" })
  const recorded = Effect.fnUntraced(function* ({ tenantId }: SignInSession) {
    // Denials are written beside the request that was denied.
    yield* Effect.yieldNow
    yield* TestClock.adjust(0)
    return (yield* audit.list(tenantId, { limit: 200 })).items
  })
  return { deny, recorded }
})

describe("Denials", () => {
  it.effect("records a person's denial once a minute for each edge and reason", () =>
    Effect.gen(function* () {
      const { deny, recorded } = yield* setup
      const session = yield* signedIn
      const edgeId = yield* newEdgeId
      for (let count = 0; count < 3; count++) deny(session, edgeId)
      deny(session, edgeId, "cross_site")
      assert.deepStrictEqual((yield* recorded(session)).map(({ detail }) => detail).sort(), [
        "cross_site",
        "edge_not_found"
      ])
      yield* TestClock.adjust("1 minute")
      deny(session, edgeId)
      assert.strictEqual((yield* recorded(session)).length, 3)
    }).pipe(Effect.provide(layer))
  )

  it.effect("is not filled by somebody who tries one edge after the other", () =>
    Effect.gen(function* () {
      const { deny, recorded } = yield* setup
      const session = yield* signedIn
      const other = yield* signedIn
      for (let count = 0; count < 100; count++) deny(session, yield* newEdgeId)
      deny(other, yield* newEdgeId)
      assert.strictEqual((yield* recorded(session)).length, 20)
      assert.strictEqual((yield* recorded(other)).length, 1)
    }).pipe(Effect.provide(layer))
  )

  it.effect("takes all that is no edge's id for one", () =>
    Effect.gen(function* () {
      const { deny, recorded } = yield* setup
      const session = yield* signedIn
      for (const asked of ["", "%2e%2e", "x".repeat(70_000), "edge_"]) deny(session, asked)
      assert.deepStrictEqual(
        (yield* recorded(session)).map(({ edgeId }) => edgeId),
        [null]
      )
    }).pipe(Effect.provide(layer))
  )
})
