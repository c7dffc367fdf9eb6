import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Layer, Option } from "effect"
import { TestClock } from "effect/testing"
import { newKey } from "@edge-relay/testkit/auth/TestServer"
import { SessionCheck } from "../../src/session/SessionCheck.ts"
import { SessionCookie } from "../../src/session/SessionCookie.ts"
import { SignIn } from "../../src/sign-in/SignIn.ts"

/** A session whose tokens want refreshing in ten seconds, and how often that was asked for. */
const checked = Effect.gen(function* () {
  const asked = { count: 0 }
  const refresh = () =>
    Effect.as(
      Effect.sync(() => void asked.count++),
      Option.none()
    )
  const context = yield* Layer.build(
    SessionCheck.layer.pipe(
      Layer.provideMerge(
        Layer.mergeAll(
          SignInSessionsMemory.layer,
          SessionCookie.layer({ keys: [newKey()], secure: false }),
          Layer.mock(SignIn)({ refresh })
        )
      )
    )
  )
  return yield* Effect.gen(function* () {
    const sessions = yield* SignInSessions
    const cookies = yield* SessionCookie
    const check = yield* SessionCheck
    const [browser, cookie] = [cookies.issue(), cookies.issue()]
    const now = yield* Clock.currentTimeMillis
    const pending = { state: "s", nonce: "n", codeVerifier: "v", returnTo: "/", startedAt: now }
    yield* sessions.addPending(browser.idHash, pending, { fresh: true })
    yield* sessions.signIn(Option.getOrThrow(yield* sessions.takePending(browser.idHash, "s")), {
      id: SignInSessionId.make(`sess_${"0".repeat(26)}`),
      idHash: cookie.idHash,
      userId: UserId.make(`user_${"0".repeat(26)}`),
      tenantId: TenantId.make(`tenant_${"0".repeat(26)}`),
      issuer: "https://issuer.example",
      subject: "alice",
      sid: null,
      name: null,
      email: null,
      picture: null,
      role: "admin",
      address: "192.0.2.7",
      userAgent: "",
      createdAt: now,
      idleMillis: 1e9,
      expiresAt: now + 1e9,
      sealed: "",
      refreshAt: now + 10_000
    })
    const header = cookies.set(cookie).split(";")[0]
    const session = Effect.map(check.find(header), Option.getOrThrow)
    /** A request, as each of the three who ask makes one. */
    const request = (options?: { readonly slides: boolean }) =>
      Effect.gen(function* () {
        check.used(yield* session, yield* Clock.currentTimeMillis, options)
        yield* Effect.yieldNow
      })
    return { asked, check, cookie, request, session }
  }).pipe(Effect.provide(context))
})

describe("a session that is used", () => {
  it.effect("is found by its header and by its cookie alike", () =>
    Effect.gen(function* () {
      const { check, cookie, session } = yield* checked
      const one = yield* session
      assert.deepStrictEqual(one.cookie, cookie)
      assert.deepStrictEqual(Option.getOrThrow(yield* check.findBy(cookie)), one.session)
      assert.deepStrictEqual(check.peekBy(cookie, yield* Clock.currentTimeMillis), one.session)
      assert.isTrue(Option.isNone(yield* check.find("session=x")))
      assert.isTrue(Option.isNone(yield* check.find(undefined)))
    })
  )

  it.effect("has its idle end moved once a second, and not where the request does not slide", () =>
    Effect.gen(function* () {
      const { request, session } = yield* checked
      const began = (yield* session).session.lastSeenAt
      const moved = Effect.map(session, (one) => one.session.lastSeenAt - began)
      yield* TestClock.adjust("900 millis")
      yield* request()
      assert.strictEqual(yield* moved, 0)
      yield* TestClock.adjust("200 millis")
      yield* request({ slides: false })
      assert.strictEqual(yield* moved, 0)
      yield* request()
      assert.strictEqual(yield* moved, 1100)
    })
  )

  it.effect("has the provider's tokens refreshed when that is due, once a second where it fails", () =>
    Effect.gen(function* () {
      const { asked, request } = yield* checked
      yield* request()
      assert.strictEqual(asked.count, 0)
      yield* TestClock.adjust("10 seconds")
      for (let index = 0; index < 20; index++) yield* request({ slides: index % 2 === 0 })
      assert.strictEqual(asked.count, 1)
      yield* TestClock.adjust("1 second")
      for (let index = 0; index < 20; index++) yield* request()
      assert.strictEqual(asked.count, 2)
    })
  )
})
