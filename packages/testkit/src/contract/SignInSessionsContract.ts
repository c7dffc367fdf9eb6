import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Layer, Option, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { randomBytes } from "node:crypto"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import {
  type EndReason,
  type NewSignInSession,
  type PendingSignIn,
  type ProviderLogout,
  SessionIdHash,
  type SignInSession
} from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"

const random = (bytes: number) => randomBytes(bytes).toString("base64url")
const newHash = () => SessionIdHash.make(random(32))
const typeId = (prefix: string) =>
  `${prefix}_0${BigInt(`0x${randomBytes(15).toString("hex")}`)
    .toString(32)
    .padStart(25, "0")
    .replace(/[ilou]/g, "w")
    .slice(-25)}`
const newUser = () => ({ userId: UserId.make(typeId("user")), tenantId: TenantId.make(typeId("tenant")) })

const newPending = Effect.map(Clock.currentTimeMillis, (startedAt): PendingSignIn => ({
  state: random(32),
  nonce: random(32),
  codeVerifier: random(32),
  returnTo: "/somewhere?a=b",
  startedAt
}))

const newSession = Effect.fnUntraced(function* (overrides: Partial<NewSignInSession> = {}) {
  const createdAt = yield* Clock.currentTimeMillis
  const session: NewSignInSession = {
    id: SignInSessionId.make(typeId("sess")),
    idHash: newHash(),
    ...newUser(),
    issuer: "https://issuer.example",
    subject: random(8),
    sid: random(8),
    name: "Alice O'Hara",
    email: null,
    picture: null,
    role: "admin",
    address: "192.0.2.7",
    userAgent: "a browser",
    createdAt,
    idleMillis: 8 * 3_600_000,
    expiresAt: createdAt + 7 * 86_400_000,
    sealed: "sealed tokens",
    refreshAt: null,
    ...overrides
  }
  return session
})

const newLogout = (named: Partial<ProviderLogout>): ProviderLogout => ({
  issuer: "https://issuer.example",
  subject: null,
  sid: null,
  jti: random(8),
  issuedAt: 1_000_000,
  expiresAt: Number.MAX_SAFE_INTEGER,
  ...named
})

/** Begins in a new browser, and takes it at once. */
const taken = Effect.fnUntraced(function* (id: SessionIdHash = newHash(), fresh = true) {
  const sessions = yield* SignInSessions
  const pending = yield* newPending
  assert.isTrue(yield* sessions.addPending(id, pending, { fresh }))
  const found = yield* sessions.takePending(id, pending.state)
  return Option.getOrThrow(found)
})

const signedIn = Effect.fnUntraced(function* (overrides: Partial<NewSignInSession> = {}) {
  const sessions = yield* SignInSessions
  return yield* sessions.signIn(yield* taken(), yield* newSession(overrides))
})

/** Everything that a session is, but for its use. */
const same = (actual: Option.Option<SignInSession>, expected: SignInSession) =>
  assert.deepStrictEqual(Option.getOrThrow(actual), expected)

/** Queries take real time: what the clock has passed by meanwhile is done at one of its next ticks. */
const ticking = Effect.fnUntraced(function* <A>(seen: Deferred.Deferred<A>) {
  while (!(yield* Deferred.isDone(seen))) {
    yield* TestClock.adjust("500 millis")
    yield* TestClock.withLive(Effect.sleep("5 millis"))
  }
  return yield* Deferred.await(seen)
})

/**
 * What every store of sign-in sessions promises. `layer` is built anew for each test; `another` makes, over the
 * same data, what another server would have.
 */
export const suite = <E>(
  name: string,
  layer: Layer.Layer<SignInSessions, E>,
  options: {
    readonly another?: Effect.Effect<SignInSessions["Service"], E, SignInSessions | Scope.Scope>
    readonly timeout?: number
  } = {}
) =>
  describe(`${name}: SignInSessions`, { timeout: options.timeout ?? 30_000 }, () => {
    const test = (title: string, effect: () => Effect.Effect<void, unknown, SignInSessions | Scope.Scope>) =>
      it.effect(title, () => Effect.provide(Effect.scoped(effect()), layer))

    describe("sign-ins under way", () => {
      test("takes a pending sign-in once", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          yield* sessions.addPending(id, pending, { fresh: true })
          const first = Option.getOrThrow(yield* sessions.takePending(id, pending.state))
          assert.deepStrictEqual(first, { ...pending, browser: id, signedIn: false })
          assert.isTrue(Option.isNone(yield* sessions.takePending(id, pending.state)))
        }))

      test("gives it to one of fifty who take it at once", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          yield* sessions.addPending(id, pending, { fresh: true })
          const all = yield* Effect.all(
            Array.from({ length: 50 }, () => sessions.takePending(id, pending.state)),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(all.filter(Option.isSome).length, 1)
        }))

      test("does not give it to another browser, and leaves it where it is", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          yield* sessions.addPending(id, pending, { fresh: true })
          yield* sessions.addPending(newHash(), yield* newPending, { fresh: true })
          assert.isTrue(Option.isNone(yield* sessions.takePending(newHash(), pending.state)))
          assert.isTrue(Option.isSome(yield* sessions.takePending(id, pending.state)))
        }))

      test("forgets it after ten minutes", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          yield* sessions.addPending(id, pending, { fresh: true })
          yield* TestClock.adjust("10 minutes")
          assert.isTrue(Option.isNone(yield* sessions.takePending(id, pending.state)))
        }))

      test("keeps 32 of a browser, and drops the oldest for one more", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const id = newHash()
          const all: Array<PendingSignIn> = []
          for (let index = 0; index < 33; index++) {
            const pending = yield* newPending
            all.push(pending)
            assert.isTrue(yield* sessions.addPending(id, pending, { fresh: index === 0 }))
            yield* TestClock.adjust("1 second")
          }
          const found = yield* Effect.forEach(all, ({ state }) => sessions.takePending(id, state))
          assert.deepStrictEqual(found.map(Option.isSome), [false, ...Array.from({ length: 32 }, () => true)])
        }))

      test("is remembered for an hour by its state alone, taken or not, and nothing more of it", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          yield* sessions.addPending(id, pending, { fresh: true })
          const { returnTo, state } = pending
          assert.deepStrictEqual(yield* sessions.remembered(state), Option.some({ returnTo, isOpen: true }))
          yield* sessions.takePending(id, state)
          assert.deepStrictEqual(yield* sessions.remembered(state), Option.some({ returnTo, isOpen: false }))
          yield* TestClock.adjust("30 minutes")
          const late = yield* newPending
          yield* sessions.addPending(id, late, { fresh: true })
          yield* TestClock.adjust("29 minutes")
          for (const one of [state, late.state]) {
            assert.deepStrictEqual(yield* sessions.remembered(one), Option.some({ returnTo, isOpen: false }))
          }
          yield* TestClock.adjust("1 minute")
          assert.isTrue(Option.isNone(yield* sessions.remembered(state)))
          assert.isTrue(Option.isNone(yield* sessions.remembered(random(32))))
        }))

      test("makes its browser known, also when it was taken", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const { browser } = yield* taken()
          assert.isTrue(yield* sessions.addPending(browser, yield* newPending, { fresh: false }))
        }))

      test("does not take up an id that only a cookie knows of", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const [id, pending] = [newHash(), yield* newPending]
          assert.isFalse(yield* sessions.addPending(id, pending, { fresh: false }))
          assert.isTrue(Option.isNone(yield* sessions.takePending(id, pending.state)))
        }))
    })

    describe("a session", () => {
      test("is found by its id's hash, with all that was stored", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const given = yield* newSession({
            name: null,
            sid: null,
            refreshAt: 5,
            picture: "https://a.example/b"
          })
          const from = yield* taken()
          const session = yield* sessions.signIn(from, given)
          assert.deepStrictEqual(session, { ...given, browser: from.browser, lastSeenAt: given.createdAt })
          same(yield* sessions.find(session.idHash), session)
          same(yield* sessions.read(session.idHash), session)
          assert.isTrue(Option.isNone(yield* sessions.find(newHash())))
        }))

      test("is known to memory once it was found", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          yield* sessions.find(session.idHash)
          // The loop that keeps memory honest has to have run.
          yield* TestClock.adjust("500 millis")
          const now = yield* Clock.currentTimeMillis
          assert.deepStrictEqual(sessions.peek(session.idHash, now), session)
          assert.isUndefined(sessions.peek(newHash(), now))
        }))

      test("ends when it is not used", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn({ idleMillis: 60_000 })
          yield* TestClock.adjust("59 seconds")
          assert.isTrue(Option.isSome(yield* sessions.find(session.idHash)))
          yield* TestClock.adjust("1 second")
          assert.isTrue(Option.isNone(yield* sessions.find(session.idHash)))
          assert.isUndefined(sessions.peek(session.idHash, yield* Clock.currentTimeMillis))
        }))

      test("lives on by being used, and no longer than its absolute end", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const now = yield* Clock.currentTimeMillis
          const session = yield* signedIn({ idleMillis: 60_000, expiresAt: now + 150_000 })
          for (let seconds = 0; seconds < 140; seconds += 20) {
            yield* TestClock.adjust("20 seconds")
            sessions.touch(session.idHash, yield* Clock.currentTimeMillis)
            const found = Option.getOrThrow(yield* sessions.find(session.idHash))
            assert.strictEqual(found.lastSeenAt, yield* Clock.currentTimeMillis)
          }
          yield* TestClock.adjust("10 seconds")
          assert.isTrue(Option.isNone(yield* sessions.find(session.idHash)))
        }))

      test("is not brought back by being used when it is over", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn({ idleMillis: 60_000 })
          yield* TestClock.adjust("60 seconds")
          sessions.touch(session.idHash, yield* Clock.currentTimeMillis)
          yield* TestClock.adjust("11 seconds")
          assert.isTrue(Option.isNone(yield* sessions.find(session.idHash)))
          assert.isTrue(Option.isNone(yield* sessions.read(session.idHash)))
        }))

      test("is counted and listed while it lives", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const before = yield* sessions.count
          const user = newUser()
          const first = yield* signedIn(user)
          yield* TestClock.adjust("1 second")
          const second = yield* signedIn({ ...user, idleMillis: 60_000 })
          yield* signedIn()
          assert.strictEqual((yield* sessions.count) - before, 3)
          assert.deepStrictEqual(yield* sessions.list(user.tenantId, user.userId), [second, first])
          yield* TestClock.adjust("1 minute")
          assert.deepStrictEqual(yield* sessions.list(user.tenantId, user.userId), [first])
          assert.strictEqual((yield* sessions.count) - before, 2)
        }))
    })

    describe("signing in again", () => {
      test("ends the former session of that browser at once", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const former = yield* signedIn()
          const again = yield* taken(former.idHash, false)
          assert.isTrue(again.signedIn)
          const user = { userId: former.userId, tenantId: former.tenantId }
          const latter = yield* sessions.signIn(again, yield* newSession(user))
          assert.isTrue(Option.isNone(yield* sessions.find(former.idHash)))
          same(yield* sessions.find(latter.idHash), latter)
          assert.strictEqual((yield* sessions.list(user.tenantId, user.userId)).length, 1)
        }))

      test("keeps the pending sign-ins of the same person's other tabs", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const user = newUser()
          const id = newHash()
          const tabs = yield* Effect.forEach([0, 1, 2], (index) =>
            Effect.tap(newPending, (pending) => sessions.addPending(id, pending, { fresh: index === 0 }))
          )
          let current = id
          for (const { state } of tabs) {
            const one = Option.getOrThrow(yield* sessions.takePending(current, state))
            current = (yield* sessions.signIn(one, yield* newSession(user))).idHash
          }
          assert.strictEqual((yield* sessions.list(user.tenantId, user.userId)).length, 1)
        }))

      test("leaves one session where tabs finish at once", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const user = newUser()
          const id = newHash()
          const tabs = yield* Effect.forEach([0, 1, 2, 3, 4], (index) =>
            Effect.tap(newPending, (pending) => sessions.addPending(id, pending, { fresh: index === 0 }))
          )
          const all = yield* Effect.forEach(tabs, ({ state }) =>
            Effect.map(sessions.takePending(id, state), Option.getOrThrow)
          )
          yield* Effect.forEach(
            all,
            (one) => Effect.flatMap(newSession(user), (session) => sessions.signIn(one, session)),
            { concurrency: "unbounded" }
          )
          assert.strictEqual((yield* sessions.list(user.tenantId, user.userId)).length, 1)
        }))

      test("as somebody else carries nothing over", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const alice = yield* signedIn()
          const left = yield* newPending
          yield* sessions.addPending(alice.idHash, left, { fresh: false })
          const bob = yield* sessions.signIn(yield* taken(alice.idHash, false), yield* newSession())
          assert.isTrue(Option.isNone(yield* sessions.find(alice.idHash)))
          assert.notStrictEqual(bob.browser, alice.browser)
          for (const id of [alice.idHash, bob.idHash, alice.browser]) {
            assert.isTrue(Option.isNone(yield* sessions.takePending(id, left.state)))
          }
        }))

      test("does not succeed where the browser signed out meanwhile", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const former = yield* signedIn()
          const again = yield* taken(former.idHash, false)
          yield* sessions.end(former.idHash, "signed_out")
          const session = yield* newSession()
          const error = yield* Effect.flip(sessions.signIn(again, session))
          assert.strictEqual(error._tag, "SignedOutMeanwhile")
          assert.isTrue(Option.isNone(yield* sessions.read(session.idHash)))
        }))
    })

    describe("ending", () => {
      test("ends a session, the sign-ins of its browser, and tells what it ended", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          const pending = yield* newPending
          yield* sessions.addPending(session.idHash, pending, { fresh: false })
          same(yield* sessions.end(session.idHash, "signed_out"), session)
          assert.isTrue(Option.isNone(yield* sessions.find(session.idHash)))
          assert.isTrue(Option.isNone(yield* sessions.end(session.idHash, "signed_out")))
          assert.isTrue(Option.isNone(yield* sessions.takePending(session.browser, pending.state)))
        }))

      test("by public id ends one's own only", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          const other = newUser()
          const { id, tenantId, userId } = session
          assert.isTrue(Option.isNone(yield* sessions.endOne(other.tenantId, other.userId, id)))
          assert.isTrue(Option.isNone(yield* sessions.endOne(other.tenantId, userId, id)))
          assert.isTrue(Option.isNone(yield* sessions.endOne(tenantId, other.userId, id)))
          assert.isTrue(Option.isSome(yield* sessions.find(session.idHash)))
          same(yield* sessions.endOne(tenantId, userId, id), session)
          assert.isTrue(Option.isNone(yield* sessions.find(session.idHash)))
        }))

      test("all others leaves this one, and other people's", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const user = newUser()
          const mine = yield* Effect.forEach([0, 1, 2], () => signedIn(user))
          const theirs = yield* signedIn()
          const [kept] = mine
          assert.isDefined(kept)
          const ended = yield* sessions.endOthers(user.tenantId, user.userId, kept.id)
          assert.strictEqual(ended.length, 2)
          assert.deepStrictEqual(yield* sessions.list(user.tenantId, user.userId), [kept])
          assert.isTrue(Option.isSome(yield* sessions.find(theirs.idHash)))
        }))

      test("by the provider's names ends what they name and no more", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const issuer = "https://a.example"
          const start = Effect.all({
            one: signedIn({ issuer, subject: "alice", sid: "1" }),
            two: signedIn({ issuer, subject: "alice", sid: "2" }),
            bob: signedIn({ issuer, subject: "bob", sid: "3" }),
            elsewhere: signedIn({ issuer: "https://b.example", subject: "alice", sid: "1" })
          })
          const attempt = Effect.fnUntraced(function* (subject: string | null, sid: string | null) {
            const all = yield* start
            yield* sessions.endByProvider(newLogout({ issuer, subject, sid }))
            const left = yield* Effect.filter(Object.entries(all), ([, { idHash }]) =>
              Effect.map(sessions.find(idHash), Option.isSome)
            )
            yield* Effect.forEach(Object.values(all), ({ idHash }) => sessions.end(idHash, "signed_out"))
            return left.map(([name]) => name)
          })
          assert.deepStrictEqual(yield* attempt("alice", null), ["bob", "elsewhere"])
          assert.deepStrictEqual(yield* attempt(null, "2"), ["one", "bob", "elsewhere"])
          assert.deepStrictEqual(yield* attempt("alice", "1"), ["two", "bob", "elsewhere"])
          assert.deepStrictEqual(yield* attempt("bob", "1"), ["one", "two", "bob", "elsewhere"])
          assert.deepStrictEqual(yield* attempt(null, null), ["one", "two", "bob", "elsewhere"])
        }))
    })

    describe("a provider's logout", () => {
      const since = { issuedAt: 1_000_000, startedAt: 0 }

      test("counts once, and its ends are told once", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          const logout = newLogout({ issuer: session.issuer, sid: session.sid })
          const all = yield* Effect.all(
            Array.from({ length: 10 }, () => sessions.endByProvider(logout)),
            { concurrency: "unbounded" }
          )
          assert.deepStrictEqual(all.flatMap(Option.toArray), [[session]])
        }))

      test("is remembered for the sign-ins that it names, and that it overtakes", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const issuer = `https://${random(8)}.example`
          const now = yield* Clock.currentTimeMillis
          const alice = { issuer, subject: "alice", sid: "1" }
          yield* sessions.endByProvider(newLogout({ issuer, subject: "alice" }))
          yield* sessions.endByProvider(newLogout({ issuer, sid: "2" }))
          const isLoggedOut = (session: Partial<typeof alice>, at: Partial<typeof since> = {}) =>
            sessions.isLoggedOut({ ...alice, ...session }, { ...since, startedAt: now, ...at })
          assert.isTrue(yield* isLoggedOut({}))
          assert.isTrue(yield* isLoggedOut({ subject: "bob", sid: "2" }))
          assert.isFalse(yield* isLoggedOut({ subject: "bob", sid: "3" }))
          assert.isFalse(yield* isLoggedOut({ issuer: "https://other.example" }))
          // A token that is made later is a sign-in that is newer, and so is one of that second that began later.
          assert.isFalse(yield* isLoggedOut({}, { issuedAt: since.issuedAt + 1 }))
          assert.isFalse(yield* isLoggedOut({}, { startedAt: now + 1 }))
          assert.isTrue(yield* isLoggedOut({}, { issuedAt: since.issuedAt - 1, startedAt: now + 1 }))
        }))
    })

    describe("watching", () => {
      test("calls back once, at once, with the reason", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          const seen: Array<EndReason> = []
          sessions.watch(session, (reason) => seen.push(reason))
          const stop = sessions.watch(session, (reason) => seen.push(reason))
          stop()
          yield* sessions.end(session.idHash, "signed_out")
          assert.deepStrictEqual(seen, ["signed_out"])
        }))

      test("learns of every way to end", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const end = Effect.fnUntraced(function* (
            how: (session: SignInSession) => Effect.Effect<unknown, unknown, SignInSessions>
          ) {
            const session = yield* signedIn({ idleMillis: 120_000 })
            const seen = yield* Deferred.make<EndReason>()
            sessions.watch(session, (reason) => Deferred.doneUnsafe(seen, Exit.succeed(reason)))
            yield* how(session)
            return yield* ticking(seen)
          })
          assert.strictEqual(
            yield* end(({ id, tenantId, userId }) => sessions.endOne(tenantId, userId, id)),
            "revoked"
          )
          assert.strictEqual(
            yield* end(({ issuer, subject }) => sessions.endByProvider(newLogout({ issuer, subject }))),
            "provider"
          )
          assert.strictEqual(
            yield* end(({ idHash }) =>
              Effect.gen(function* () {
                yield* sessions.signIn(yield* taken(idHash, false), yield* newSession())
              })
            ),
            "replaced"
          )
          assert.strictEqual(yield* end(() => TestClock.adjust("121 seconds")), "expired")
        }))

      test("calls back where the session had ended a moment before", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const session = yield* signedIn()
          yield* sessions.end(session.idHash, "revoked")
          const seen = yield* Deferred.make<EndReason>()
          sessions.watch(session, (reason) => Deferred.doneUnsafe(seen, Exit.succeed(reason)))
          assert.strictEqual(yield* Deferred.await(seen), "revoked")
        }))
    })

    describe("refreshing", () => {
      test("is one owner's at a time, until it is given back or its time is up", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const { idHash } = yield* signedIn()
          assert.isTrue(yield* sessions.lockRefresh(idHash, "a", 30_000))
          assert.isFalse(yield* sessions.lockRefresh(idHash, "b", 30_000))
          assert.isFalse(yield* sessions.unlockRefresh(idHash, "b", { sealed: "stolen", refreshAt: 1 }))
          assert.isTrue(yield* sessions.unlockRefresh(idHash, "a", { sealed: "new", refreshAt: 7 }))
          const found = Option.getOrThrow(yield* sessions.find(idHash))
          assert.deepStrictEqual([found.sealed, found.refreshAt], ["new", 7])
          assert.isTrue(yield* sessions.lockRefresh(idHash, "b", 30_000))
          yield* TestClock.adjust("30 seconds")
          assert.isTrue(yield* sessions.lockRefresh(idHash, "c", 30_000))
          assert.isFalse(yield* sessions.unlockRefresh(idHash, "b", { sealed: "late", refreshAt: 1 }))
          assert.isTrue(yield* sessions.unlockRefresh(idHash, "c", null))
          assert.strictEqual(Option.getOrThrow(yield* sessions.read(idHash)).sealed, "new")
        }))

      test("stores nothing for a session that ended meanwhile", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const { idHash } = yield* signedIn()
          assert.isTrue(yield* sessions.lockRefresh(idHash, "a", 30_000))
          yield* sessions.end(idHash, "signed_out")
          assert.isFalse(yield* sessions.unlockRefresh(idHash, "a", { sealed: "new", refreshAt: 7 }))
          assert.isFalse(yield* sessions.lockRefresh(idHash, "a", 30_000))
          assert.isTrue(Option.isNone(yield* sessions.read(idHash)))
        }))
    })

    test("a key is used once, until its time is up", () =>
      Effect.gen(function* () {
        const sessions = yield* SignInSessions
        const key = random(8)
        const until = (yield* Clock.currentTimeMillis) + 60_000
        const all = yield* Effect.all(
          Array.from({ length: 20 }, () => sessions.useOnce(key, until)),
          { concurrency: "unbounded" }
        )
        assert.strictEqual(all.filter((first) => first).length, 1)
        assert.isTrue(yield* sessions.useOnce(random(8), until))
        yield* TestClock.adjust("1 minute")
        assert.isTrue(yield* sessions.useOnce(key, until + 60_000))
      }))

    const { another } = options
    if (another === undefined) return

    describe("with another server", () => {
      test("a session of one is one of the other", () =>
        Effect.gen(function* () {
          const other = yield* another
          const session = yield* signedIn()
          same(yield* other.find(session.idHash), session)
        }))

      test("what one ends is unknown to the other within a second, and those who watch there are told", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const other = yield* another
          const session = yield* signedIn()
          yield* other.find(session.idHash)
          yield* TestClock.adjust("500 millis")
          assert.isDefined(other.peek(session.idHash, yield* Clock.currentTimeMillis))
          const seen = yield* Deferred.make<EndReason>()
          other.watch(session, (reason) => Deferred.doneUnsafe(seen, Exit.succeed(reason)))
          yield* sessions.end(session.idHash, "signed_out")
          assert.strictEqual(yield* ticking(seen), "signed_out")
          assert.isUndefined(other.peek(session.idHash, yield* Clock.currentTimeMillis))
          assert.isTrue(Option.isNone(yield* other.find(session.idHash)))
        }))

      test("one's use keeps it alive at the other", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const other = yield* another
          const session = yield* signedIn({ idleMillis: 60_000 })
          const seen: Array<EndReason> = []
          other.watch(session, (reason) => seen.push(reason))
          yield* TestClock.adjust("40 seconds")
          sessions.touch(session.idHash, yield* Clock.currentTimeMillis)
          yield* TestClock.adjust("10 seconds")
          // Writing takes real time; only then may the clock go on.
          yield* Effect.repeat(Effect.tap(other.read(session.idHash), Effect.yieldNow), {
            until: (found) => Option.isSome(found) && found.value.lastSeenAt > session.lastSeenAt
          })
          yield* TestClock.adjust("40 seconds")
          yield* other.count
          assert.deepStrictEqual(seen, [])
          assert.isTrue(Option.isSome(yield* other.read(session.idHash)))
        }))

      test("one refreshes at a time", () =>
        Effect.gen(function* () {
          const sessions = yield* SignInSessions
          const other = yield* another
          const { idHash } = yield* signedIn()
          const locks = yield* Effect.all(
            [sessions.lockRefresh(idHash, "a", 30_000), other.lockRefresh(idHash, "b", 30_000)],
            { concurrency: 2 }
          )
          assert.strictEqual(locks.filter((locked) => locked).length, 1)
        }))
    })
  })

/** A second store of the same data. */
export const built = <E, R>(layer: Layer.Layer<SignInSessions, E, R>) =>
  Effect.map(Layer.build(Layer.fresh(layer)), (context) => Context.get(context, SignInSessions))
