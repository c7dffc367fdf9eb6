import * as fs from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { SessionCheck } from "@edge-relay/auth/session/SessionCheck"
import { SignIn } from "@edge-relay/auth/sign-in/SignIn"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { ProviderServer } from "@edge-relay/devkit/provider/ProviderServer"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import { Database } from "@edge-relay/storage/database/Database"
import * as SignInSessionsSql from "@edge-relay/storage/sign-in/SignInSessionsSql"
import { Clock, Context, Effect, Layer, Option, Redacted } from "effect"
import { Browser } from "@edge-relay/testkit/auth/Browser"
import { listening, newKey, serve } from "@edge-relay/testkit/auth/TestServer"

/**
 * What sign-in costs: checking the session of a request (cookie, signature, store), in CPU time; and a whole
 * sign-in at the embedded provider, over real HTTP, all of it in this one process.
 *
 * `npm run bench -- auth [checks] [sign-ins]`
 */

const [checksArgument = "200000", signInsArgument = "200"] = process.argv.slice(2)
const checks = Number(checksArgument)
const signIns = Number(signInsArgument)

const write = (text: string) => Effect.sync(() => process.stdout.write(`${text}\n`))

/** Microseconds of CPU that one of `times` takes, on all threads. */
const cpu = Effect.fnUntraced(function* <E, R>(times: number, effect: Effect.Effect<void, E, R>) {
  yield* effect
  const began = process.cpuUsage()
  yield* effect
  const { system, user } = process.cpuUsage(began)
  return ((system + user) / times).toFixed(2)
})

const limitOf = { memory: 50, SQLite: 100 }

const sessionCheck = (name: keyof typeof limitOf) =>
  Effect.gen(function* () {
    const sessions = yield* SignInSessions
    const cookies = yield* SessionCookie
    const check = yield* SessionCheck
    const clock = yield* Clock.Clock
    const now = clock.currentTimeMillisUnsafe()
    const cookie = cookies.issue()
    const pending = { state: "s", nonce: "n", codeVerifier: "v", returnTo: "/", startedAt: now }
    yield* sessions.addPending(cookie.idHash, pending, { fresh: true })
    const taken = Option.getOrThrow(yield* sessions.takePending(cookie.idHash, "s"))
    yield* sessions.signIn(taken, {
      id: SignInSessionId.make("sess_01h455vb4pex5vsknk084sn02q"),
      idHash: cookie.idHash,
      userId: UserId.make("user_01h455vb4pex5vsknk084sn02q"),
      tenantId: TenantId.make("tenant_01h455vb4pex5vsknk084sn02q"),
      issuer: "https://issuer.example",
      subject: "alice",
      sid: null,
      name: "Alice",
      email: "alice@example.com",
      picture: null,
      role: "admin",
      address: "127.0.0.1",
      userAgent: "bench",
      createdAt: now,
      idleMillis: 8 * 3_600_000,
      expiresAt: now + 7 * 86_400_000,
      sealed: "A".repeat(2000),
      refreshAt: null
    })
    const header = `theme=dark; ${cookies.set(cookie).split(";")[0]}; locale=en`
    yield* Effect.sleep(500)

    const effectful = Effect.gen(function* () {
      for (let n = 0; n < checks; n++) {
        const found = yield* check.find(header)
        if (Option.isSome(found)) check.used(found.value, yield* Clock.currentTimeMillis)
        // A server is not one endless request: what runs in the background gets its turn.
        if (n % 1000 === 0) yield* Effect.sleep(0)
      }
    })
    const synchronous = Effect.sync(() => {
      for (let n = 0; n < checks; n++) {
        const verified = cookies.verify(header)
        if (verified !== undefined) check.peekBy(verified, clock.currentTimeMillisUnsafe())
      }
    })
    const fromTheStore = Effect.gen(function* () {
      for (let n = 0; n < checks / 20; n++) yield* sessions.read(cookie.idHash)
    })
    const limit = limitOf[name]
    yield* write(
      `session check, ${name.padEnd(7)} effect       ${yield* cpu(checks, effectful)} µs CPU   (limit ${limit})`
    )
    yield* write(
      `session check, ${name.padEnd(7)} synchronous  ${yield* cpu(checks, synchronous)} µs CPU   (limit ${limit})`
    )
    const cold = yield* cpu(Math.ceil(checks / 20), fromTheStore)
    yield* write(`session read,  ${name.padEnd(7)} from store   ${cold} µs CPU`)
  })

const cookie = SessionCookie.layer({ keys: [newKey(), newKey()], secure: true })

const checkWith = <E>(name: keyof typeof limitOf, sessions: Layer.Layer<SignInSessions, E>) =>
  Effect.provide(
    sessionCheck(name),
    // No session here is to be refreshed.
    SessionCheck.layer.pipe(Layer.provideMerge(Layer.mergeAll(sessions, cookie, Layer.mock(SignIn)({})))),
    { local: true }
  )

const sqlite = Layer.unwrap(
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "edge-relay-bench-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true }))
    ),
    (folder) =>
      SignInSessionsSql.layer.pipe(
        Layer.provide(Database.layer({ url: Redacted.make(`sqlite:${folder}/bench.db`) }))
      )
  )
)

const signInCost = (name: string, sessions: Layer.Layer<SignInSessions, unknown>) =>
  Effect.gen(function* () {
    const socket = yield* listening
    const provider = yield* Layer.build(ProviderServer.layer({ publicUrl: socket.origin, port: 0 }))
    const { issuer } = Context.get(provider, ProviderServer)
    const perMinute = { begin: 1e9, callback: 1e9 }
    yield* serve(socket, { issuer, perMinute, sessions: Layer.orDie(sessions) })
    const once = Effect.gen(function* () {
      const browser = new Browser()
      const page = yield* browser.visit(new URL("/api/auth/login?returnTo=/home", socket.origin))
      const last = yield* browser.submit(
        page,
        "/login",
        { login: "alice" },
        {
          until: ({ pathname }) => pathname === "/home"
        }
      )
      if (last.location?.pathname !== "/home") return yield* Effect.die(new Error(last.body))
    })
    yield* Effect.replicateEffect(once, 20, { discard: true })

    const millis: Array<number> = []
    for (let n = 0; n < signIns; n++) {
      const began = performance.now()
      yield* once
      millis.push(performance.now() - began)
    }
    millis.sort((a, b) => a - b)
    const at = (share: number) => (millis[Math.floor(signIns * share)] ?? 0).toFixed(1)

    const began = performance.now()
    yield* Effect.forEach(Array.from({ length: signIns }), () => once, { concurrency: 16, discard: true })
    const perSecond = (signIns / (performance.now() - began)) * 1000
    yield* write(
      `full sign-in,  ${name.padEnd(7)} one by one   p50 ${at(0.5)} ms, p99 ${at(0.99)} ms;   16 at once: ${perSecond.toFixed(0)}/s`
    )
  }).pipe(Effect.scoped)

await Effect.runPromise(
  Effect.gen(function* () {
    yield* checkWith("memory", SignInSessionsMemory.layer)
    yield* checkWith("SQLite", sqlite)
    yield* signInCost("memory", SignInSessionsMemory.layer)
    yield* signInCost("SQLite", sqlite)
  })
)
