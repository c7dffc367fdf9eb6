import { tenantId, userId } from "@edge-relay/auth/sign-in/Identity"
import { Oidc } from "@edge-relay/auth/provider/Oidc"
import { ProviderUnavailable } from "@edge-relay/auth/provider/OidcError"
import { SessionCookie } from "@edge-relay/auth/session/SessionCookie"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import type { TenantId } from "@edge-relay/domain/ids/TenantId"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { EdgeEvents } from "@edge-relay/domain/edges/EdgeEvents"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import type { SessionSummary } from "@edge-relay/domain/tunnels/SessionStore"
import { TokenId } from "@edge-relay/domain/ids/TokenId"
import { SessionTokens } from "@edge-relay/domain/tunnels/SessionTokens"
import type { Role } from "@edge-relay/domain/sign-in/Role"
import type { SignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import { DialError, EdgeOffline } from "@edge-relay/domain/tunnels/DialError"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { NodeCrypto } from "@effect/platform-node"
import { Clock, ConfigProvider, Context, DateTime, Effect, Layer, Logger, Option, References } from "effect"
import { SecureRandom } from "effect/crypto"
import { RateLimiter } from "effect/persistence"
import { type IncomingHttpHeaders, request } from "node:http"
import { AccessLog } from "@edge-relay/server-api/AccessLog"
import { Config } from "@edge-relay/server-api/Config"
import { InternalServer } from "@edge-relay/server-api/InternalServer"
import { Listener } from "@edge-relay/server-api/Listener"
import { Presence } from "@edge-relay/domain/tunnels/Presence"
import { PresenceTable } from "@edge-relay/server-api/presence/PresenceTable"
import * as RateLimitStore from "@edge-relay/server-api/http/conventions/RateLimitStore"
import * as Server from "@edge-relay/server-api/Server"

/**
 * The whole API server on a free port, with everything that it needs in memory: edges are as online as a test
 * says, and people are signed in without a provider, by the store that sign-in itself uses.
 */
export class TestApi extends Context.Service<
  TestApi,
  {
    readonly url: string
    readonly internalUrl: string
    readonly presence: PresenceTable
    readonly edges: Edges["Service"]
    readonly events: EdgeEvents["Service"]
    readonly audit: AuditLog["Service"]
    readonly tokens: SessionTokens["Service"]
    readonly sessions: SignInSessions["Service"]
    readonly signIn: (
      name: string,
      options?: { readonly expiresInMillis?: number; readonly role?: Role }
    ) => Effect.Effect<Person>
    /** An edge of that tenant, online. */
    readonly connect: (
      tenantId: TenantId,
      edgeId: EdgeId,
      changes?: Partial<SessionSummary>
    ) => Effect.Effect<SessionSummary>
    /** Everything that was logged, line by line, down to the least important. */
    readonly logs: Array<string>
    /** What was asked of proxies: edges whose tunnels were to be closed. */
    readonly closed: Array<{ readonly edgeId: EdgeId; readonly reason: string }>
  }
>()("test/TestApi") {
  static readonly layer = (env: { readonly [name: string]: string } = {}) => TestApi.layerOn(memory, env)

  static readonly layerOn = (storage: Storage, env: { readonly [name: string]: string } = {}) =>
    Layer.effect(TestApi, make).pipe(
      Layer.provide(Server.layer),
      Layer.provideMerge(layerOpen(env, storage)),
      Layer.orDie
    )
}

const memory = Layer.merge(MemoryStorage.layer, SignInSessionsMemory.layer)

/** Where everything is kept: in memory, in SQLite, in Postgres. */
type Storage = Layer.Layer<Layer.Success<typeof memory>, never, Layer.Services<typeof memory>>

/** What `Server.layer` leaves open. */
export const layerOpen = (env: { readonly [name: string]: string } = {}, storage: Storage = memory) =>
  Layer.suspend(() => layerBackends(storage)).pipe(Layer.provideMerge(layerConfig(env)))

export const layerConfig = (env: { readonly [name: string]: string } = {}) =>
  Config.layer.pipe(
    Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnv({ env: { ...defaults, ...env } }))),
    Layer.orDie
  )

export interface Person {
  readonly cookie: string
  readonly tenantId: TenantId
  readonly session: SignInSession
}

export const publicUrl = "http://relay.localhost:3721"

const key = Buffer.alloc(32, 7).toString("base64")

const defaults = {
  PUBLIC_URL: publicUrl,
  API_PORT: "0",
  API_INTERNAL_PORT: "0",
  INTERNAL_KEY: key,
  SESSION_KEYS: key,
  OIDC_ISSUER: "http://provider.localhost",
  OIDC_CLIENT_ID: "edge-relay",
  LOG_FORMAT: "json",
  DRAIN_SECONDS: "1"
}

/** Edges are as online as a test says. */
export class TestPresence extends Context.Service<
  TestPresence,
  { readonly table: PresenceTable; readonly closed: TestApi["Service"]["closed"] }
>()("test/TestPresence") {
  static readonly layer = Layer.sync(TestPresence, () => ({ table: new PresenceTable(), closed: [] }))
}

export const layerPresence = Layer.effect(
  Presence,
  Effect.map(TestPresence, ({ table, closed }) =>
    Presence.of({
      session: (edgeId) => table.session(edgeId),
      isContended: (edgeId) => table.isContended(edgeId),
      onlineOf: (tenantId) => table.onlineOf(tenantId),
      refresh: (edgeId) => Effect.sync(() => table.session(edgeId)),
      close: (edgeId, reason) =>
        Effect.sync(() => {
          const isOnline = table.session(edgeId) !== undefined
          closed.push({ edgeId, reason })
          table.offline("proxy", edgeId)
          return isOnline
        }),
      watch: (onChange) => table.watch(onChange),
      missing: () => []
    })
  )
)

class TestLogs extends Context.Service<TestLogs, Array<string>>()("test/TestLogs") {
  static readonly layer = Layer.sync(TestLogs, (): Array<string> => [])
}

const layerLogs = Layer.unwrap(
  Effect.map(TestLogs, (logs) =>
    Layer.mergeAll(
      AccessLog.layer({ write: (text) => logs.push(text), format: "json" }),
      Logger.layer([Logger.map(Logger.formatJson, (line) => void logs.push(line))]),
      Layer.succeed(References.MinimumLogLevel, "All")
    )
  )
)

/** Nobody signs in through it: what needs it is tested where the provider is real, in auth and in e2e. */
const down = Effect.fail(new ProviderUnavailable({ operation: "test", retryAfterSeconds: 7, cause: "down" }))
const layerOidc = Layer.mock(Oidc)({
  redirectUri: "http://relay.localhost:3721/api/auth/callback",
  ready: down,
  newAttempt: Effect.succeed({ state: "state", nonce: "nonce", codeVerifier: "verifier" }),
  authorizationUrl: () => down,
  readLogoutToken: () => down,
  endSessionUrl: () => Effect.succeed(null),
  revoke: () => Effect.void
})

const layerDialer = Layer.succeed(TunnelDialer, {
  open: (edgeId) => Effect.fail(new DialError({ reason: new EdgeOffline({ edgeId }) }))
})

const layerBackends = (storage: Storage) =>
  Layer.mergeAll(
    storage,
    RateLimiter.layer.pipe(Layer.provide(RateLimitStore.layerMemory)),
    layerPresence,
    layerOidc,
    layerDialer
  ).pipe(
    Layer.provideMerge(layerLogs),
    Layer.provideMerge(Layer.mergeAll(NodeCrypto.layer, TestLogs.layer, TestPresence.layer))
  )

const make = Effect.gen(function* () {
  const { port } = yield* Listener
  const { port: internalPort } = yield* InternalServer
  const { table, closed } = yield* TestPresence
  const random = yield* SecureRandom.SecureRandom
  const cookies = yield* SessionCookie
  const sessions = yield* SignInSessions

  const signIn: TestApi["Service"]["signIn"] = Effect.fnUntraced(function* (name, options) {
    const now = yield* Clock.currentTimeMillis
    const issuer = "https://provider.test"
    const browser = cookies.issue()
    const pending = { state: name, nonce: "", codeVerifier: "verifier", returnTo: "/", startedAt: now }
    yield* sessions.addPending(browser.idHash, pending, { fresh: true })
    const taken = yield* sessions.takePending(browser.idHash, name)
    const cookie = cookies.issue()
    const session = yield* sessions.signIn(Option.getOrThrow(taken), {
      id: SignInSessionId.make(
        yield* Effect.provideService(TypeId.make("sess"), SecureRandom.SecureRandom, random)
      ),
      idHash: cookie.idHash,
      userId: userId(issuer, name),
      tenantId: tenantId(issuer, name, null),
      issuer,
      subject: name,
      sid: null,
      name,
      email: null,
      picture: null,
      role: options?.role ?? "admin",
      address: "127.0.0.1",
      userAgent: "test",
      createdAt: now,
      idleMillis: 3_600_000,
      expiresAt: now + (options?.expiresInMillis ?? 3_600_000),
      sealed: "",
      refreshAt: null
    })
    const [pair = ""] = cookies.set(cookie).split(";")
    return { cookie: pair, tenantId: session.tenantId, session }
  }, Effect.orDie)

  return TestApi.of({
    url: `http://127.0.0.1:${port}`,
    internalUrl: `http://127.0.0.1:${internalPort}`,
    presence: table,
    closed,
    logs: yield* TestLogs,
    edges: yield* Edges,
    events: yield* EdgeEvents,
    audit: yield* AuditLog,
    tokens: yield* SessionTokens,
    sessions,
    signIn,
    connect: Effect.fnUntraced(function* (tenantId, edgeId, changes = {}) {
      const now = yield* DateTime.now
      const id = yield* Effect.provideService(TypeId.make("tok"), SecureRandom.SecureRandom, random)
      const session: SessionSummary = {
        edgeId,
        tenantId,
        tokenId: TokenId.make(id),
        connectedAt: now,
        lastHeartbeatAt: now,
        protocol: "v2",
        agent: "test/1",
        hostname: "box",
        services: ["http"],
        remoteAddress: "192.0.2.7",
        roundTripMillis: 12.5,
        streams: 0,
        bytesIn: 1,
        bytesOut: 2,
        proxyId: "proxy",
        ...changes
      }
      table.online("proxy", session)
      return session
    })
  })
})

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly body: string
  readonly bytes: Buffer
  /** Of a JSON answer; undefined where it is none. */
  readonly json: unknown
}

export interface Ask {
  readonly method?: string
  readonly cookie?: string | undefined
  readonly headers?: { readonly [name: string]: string }
  /** Objects are sent as JSON. */
  readonly body?: unknown
}

/** One request, on a connection of its own, as any program makes it. */
export const ask = (
  url: string,
  { method = "GET", cookie, headers = {}, body }: Ask = {}
): Effect.Effect<Answer> =>
  Effect.callback<Answer>((resume) => {
    let isAnswered = false
    const isRaw = body === undefined || typeof body === "string" || body instanceof Uint8Array
    const bytes = isRaw ? body : JSON.stringify(body)
    const outgoing = request(
      url,
      {
        method,
        agent: false,
        headers: {
          ...(cookie === undefined ? {} : { cookie }),
          ...(bytes === undefined
            ? {}
            : { "content-type": "application/json", "content-length": String(Buffer.byteLength(bytes)) }),
          ...headers
        }
      },
      (response) => {
        isAnswered = true
        const parts: Array<Buffer> = []
        response.on("data", (part: Buffer) => parts.push(part))
        response.on("error", (error) => resume(Effect.die(error)))
        response.on("end", () => {
          const bytes = Buffer.concat(parts)
          const text = bytes.toString()
          const isJson = /json/.test(response.headers["content-type"] ?? "")
          resume(
            Effect.succeed({
              status: response.statusCode ?? 0,
              headers: response.headers,
              body: text,
              bytes,
              json: isJson && text !== "" ? JSON.parse(text) : undefined
            })
          )
        })
      }
    )
    outgoing.on("error", (error) => {
      // The server may answer before it has read a body that it does not want.
      if (!isAnswered) resume(Effect.die(error))
    })
    outgoing.end(bytes)
    return Effect.sync(() => outgoing.destroy())
  })
