import { EdgeHostSeal } from "@edge-relay/auth/edge-host/EdgeHostSeal"
import { Oidc } from "@edge-relay/auth/provider/Oidc"
import { SessionCookie, type VerifiedCookie } from "@edge-relay/auth/session/SessionCookie"
import { TokenCheck } from "@edge-relay/auth/tokens/TokenCheck"
import { SessionCheck } from "@edge-relay/auth/session/SessionCheck"
import { SignIn } from "@edge-relay/auth/sign-in/SignIn"
import { AccessTokens, type NewAccessToken } from "@edge-relay/domain/access-tokens/AccessTokens"
import { AuditLog } from "@edge-relay/domain/audit/AuditLog"
import { SignInSessionId } from "@edge-relay/domain/ids/SignInSessionId"
import { TenantId } from "@edge-relay/domain/ids/TenantId"
import { UserId } from "@edge-relay/domain/ids/UserId"
import type { EdgeId } from "@edge-relay/domain/ids/EdgeId"
import { Edges } from "@edge-relay/domain/edges/Edges"
import * as MemoryStorage from "@edge-relay/domain/MemoryStorage"
import type { NewSignInSession } from "@edge-relay/domain/sign-in/SignInSession"
import { SignInSessions } from "@edge-relay/domain/sign-in/SignInSessions"
import * as SignInSessionsMemory from "@edge-relay/domain/sign-in/SignInSessionsMemory"
import * as TypeId from "@edge-relay/domain/ids/TypeId"
import {
  DialError,
  EdgeBusy,
  EdgeOffline,
  EdgeRefused,
  type EdgeStream
} from "@edge-relay/domain/tunnels/DialError"
import { TunnelDialer } from "@edge-relay/tunnel/link/TunnelDialer"
import { Context, DateTime, Effect, Layer, Redacted, type Scope } from "effect"
import { Digest, SecureRandom } from "effect/crypto"
import { RateLimiter } from "effect/persistence"
import * as http from "node:http"
import * as net from "node:net"
import { EdgeAccess } from "@edge-relay/gateway/access/EdgeAccess"
import { Gateway, type GatewayOptions } from "@edge-relay/gateway/Gateway"
import { GatewayAuth } from "@edge-relay/gateway/access/GatewayAuth"
import * as GatewayServer from "@edge-relay/gateway/GatewayServer"
import * as RemovedEdges from "@edge-relay/gateway/access/RemovedEdges"
import { Traffic } from "@edge-relay/gateway/traffic/Traffic"
import { Presence } from "@edge-relay/domain/tunnels/Presence"

/**
 * The gateway behind a real HTTP server, with everything real but the tunnel: the dialer connects to the edge's
 * local server over TCP, and counts.
 */

export interface TestEdge {
  port: number
  protocol: "v1" | "v2"
  offline: boolean
  busy: boolean
  /** Streams opened so far, and those still open. */
  dialled: number
  readonly streams: Set<net.Socket>
}

export class TestGateway extends Context.Service<
  TestGateway,
  {
    readonly port: number
    /** The `Cookie` header's value of somebody signed in. */
    readonly cookie: string
    readonly userId: UserId
    readonly tenantId: TenantId
    /** Of somebody else, in another tenant. */
    readonly strangersCookie: string
    /** An edge of the tenant whose local server listens on `port`. */
    readonly addEdge: (port: number, protocol?: "v1" | "v2", id?: EdgeId) => Effect.Effect<EdgeId>
    readonly edge: (edgeId: EdgeId) => TestEdge
    /** Somebody else who signs in, to the same tenant. */
    readonly signIn: (
      changes: (cookie: VerifiedCookie) => Partial<NewSignInSession>
    ) => Effect.Effect<{ readonly cookie: string; readonly verified: VerifiedCookie }>
    /** A token of that person's, for whoever has its text. */
    readonly addToken: (
      changes?: Partial<NewAccessToken>
    ) => Effect.Effect<{ readonly text: string; readonly revoke: Effect.Effect<void> }>
    readonly setLabels: (edgeId: EdgeId, labels: ReadonlyArray<string>) => Effect.Effect<void>
    readonly sessions: SignInSessions["Service"]
    readonly removeEdge: (edgeId: EdgeId) => Effect.Effect<void>
    readonly endSession: Effect.Effect<void>
    readonly traffic: Traffic["Service"]
    readonly audit: AuditLog["Service"]
  }
>()("test/gateway/TestGateway") {
  /** `dialer`: the real one, where the whole chain is wanted. */
  static readonly layer = (
    options: Partial<GatewayOptions> = {},
    dialer: Layer.Layer<TunnelDialer | TestEdges | Presence> = layerDialer,
    /** What the identity provider answers to a refresh. */
    refresh: Oidc["Service"]["refresh"] = () => Effect.die("nothing is to be refreshed"),
    /** What the gateway is told of edges, in place of what is so. */
    changed: Partial<Edges["Service"]> = {}
  ) =>
    Layer.effect(TestGateway, make).pipe(
      Layer.provide(
        Layer.merge(Gateway.layer({ publicUrl, ...options }), RemovedEdges.layer({ everyMillis: 100 })).pipe(
          Layer.provideMerge(Layer.mergeAll(GatewayAuth.layer, accessTo(changed), Traffic.layer, dialer)),
          Layer.provideMerge(Layer.merge(SessionCheck.layer, TokenCheck.layer)),
          Layer.provideMerge(SignIn.layer({ publicUrl })),
          Layer.provideMerge(
            Layer.mergeAll(
              SessionCookie.layer({ keys: [sessionKey, olderSessionKey], secure: false }),
              EdgeHostSeal.layer({ keys: [sessionKey, olderSessionKey] }),
              SignInSessionsMemory.layer,
              MemoryStorage.layer,
              Layer.mock(Oidc)({ redirectUri: new URL("/api/auth/callback", publicUrl).href, refresh }),
              RateLimiter.layer.pipe(Layer.provide(RateLimiter.layerStoreMemory))
            )
          ),
          Layer.provideMerge(Layer.mergeAll(SecureRandom.layerWebCrypto, Digest.layerWebCrypto))
        )
      )
    )
}

const accessTo = (changed: Partial<Edges["Service"]>) =>
  EdgeAccess.layer.pipe(
    Layer.provide(
      Layer.effect(
        Edges,
        Effect.map(Edges, (edges) => Edges.of({ ...edges, ...changed }))
      )
    )
  )

export const sessionKey = Redacted.make(new Uint8Array(32).fill(7))
/** Cookies that it signed still count. */
export const olderSessionKey = Redacted.make(new Uint8Array(32).fill(6))

export const publicUrl = new URL("http://relay.test:3721")

export class TestEdges extends Context.Service<TestEdges, Map<string, TestEdge>>()(
  "test/gateway/TestEdges"
) {}

const layerTcpDialer = Layer.effect(
  TunnelDialer,
  Effect.map(TestEdges, (edges) =>
    TunnelDialer.of({
      open: (edgeId, service) =>
        Effect.callback<EdgeStream, DialError>((resume) => {
          const fail = (reason: DialError["reason"]) => resume(Effect.fail(new DialError({ reason })))
          const edge = edges.get(edgeId)
          if (edge === undefined || edge.offline) return fail(new EdgeOffline({ edgeId }))
          if (edge.busy) return fail(new EdgeBusy({ edgeId, detail: "1024 streams" }))
          edge.dialled++
          const socket = net.connect({
            port: edge.port,
            host: "127.0.0.1",
            allowHalfOpen: true,
            noDelay: true
          })
          edge.streams.add(socket)
          socket.once("close", () => edge.streams.delete(socket))
          socket.once("error", () =>
            fail(new EdgeRefused({ edgeId, service, refusal: "refused", detail: "ECONNREFUSED" }))
          )
          socket.once("connect", () => resume(Effect.succeed({ stream: socket, protocol: edge.protocol })))
          return Effect.sync(() => socket.destroy())
        })
    })
  )
).pipe(Layer.provideMerge(Layer.sync(TestEdges, () => new Map())))

/** With what edges' agents have told. */
export const layerDialerOf = (presence: Layer.Layer<Presence>) => Layer.provideMerge(layerTcpDialer, presence)

const layerDialer = Layer.suspend(() => layerDialerOf(layerPresence))

/** Nothing is ever told. */
export const layerPresence = Layer.mock(Presence)({
  session: () => undefined,
  isContended: () => false,
  onlineOf: () => [],
  watch: () => () => undefined,
  missing: () => []
})

const make = Effect.gen(function* () {
  const gateway = yield* Gateway
  const cookies = yield* SessionCookie
  const sessions = yield* SignInSessions
  const edges = yield* Edges
  const tokens = yield* AccessTokens
  const local = yield* TestEdges
  const traffic = yield* Traffic
  const audit = yield* AuditLog
  const random = yield* SecureRandom.SecureRandom

  const server = GatewayServer.create(gateway, (_, response) => response.writeHead(404).end("router"))
  const port = yield* listening(server)

  const newSession = Effect.fnUntraced(function* (
    changes: (cookie: VerifiedCookie) => Partial<NewSignInSession>
  ) {
    const cookie = cookies.issue()
    const userId = UserId.make(yield* TypeId.make("user"))
    const tenantId = TenantId.make(yield* TypeId.make("tenant"))
    yield* sessions.signIn(
      {
        state: "",
        nonce: "",
        codeVerifier: "verifier",
        returnTo: "/",
        startedAt: Date.now(),
        browser: cookie.idHash,
        signedIn: false
      },
      {
        id: SignInSessionId.make(yield* TypeId.make("sess")),
        idHash: cookie.idHash,
        userId,
        tenantId,
        issuer: "https://issuer.test",
        subject: userId,
        name: null,
        email: null,
        picture: null,
        role: "admin",
        sealed: "",
        refreshAt: null,
        sid: null,
        address: "127.0.0.1",
        userAgent: "test",
        idleMillis: 3_600_000,
        createdAt: Date.now(),
        expiresAt: Date.now() + 7_200_000,
        ...changes(cookie)
      }
    )
    return { userId, tenantId, verified: cookie, cookie: cookies.set(cookie).split(";", 1)[0] ?? "" }
  }, Effect.orDie)

  const signIn = (changes: (cookie: VerifiedCookie) => Partial<NewSignInSession> = () => ({})) =>
    Effect.provideService(newSession(changes), SecureRandom.SecureRandom, random)

  const me = yield* signIn()
  const stranger = yield* signIn()

  return TestGateway.of({
    port,
    cookie: me.cookie,
    userId: me.userId,
    tenantId: me.tenantId,
    strangersCookie: stranger.cookie,
    addEdge: (port, protocol = "v2", id) =>
      edges.create(me.tenantId, { name: "edge", ...(id === undefined ? {} : { id }) }).pipe(
        Effect.orDie,
        Effect.map(({ id }) => {
          local.set(id, { port, protocol, offline: false, busy: false, dialled: 0, streams: new Set() })
          return id
        })
      ),
    edge: (edgeId) => {
      const edge = local.get(edgeId)
      if (edge === undefined) throw new Error(`no edge ${edgeId}`)
      return edge
    },
    signIn: (changes) => signIn((cookie) => ({ tenantId: me.tenantId, ...changes(cookie) })),
    addToken: (changes) =>
      Effect.gen(function* () {
        const { secret, token } = yield* tokens.create({
          tenantId: me.tenantId,
          userId: me.userId,
          issuer: "https://issuer.test",
          subject: me.userId,
          role: "admin",
          name: "test",
          scopes: ["gateway"],
          reach: null,
          expiresAt: DateTime.add(yield* DateTime.now, { hours: 1 }),
          ...changes
        })
        const revoke = Effect.asVoid(tokens.revoke(token.tenantId, token.userId, token.id))
        return { text: Redacted.value(secret), revoke: Effect.orDie(revoke) }
      }).pipe(Effect.orDie),
    setLabels: (edgeId, labels) => Effect.orDie(Effect.asVoid(edges.update(me.tenantId, edgeId, { labels }))),
    sessions,
    removeEdge: (edgeId) => Effect.orDie(edges.remove(me.tenantId, edgeId)),
    endSession: Effect.orDie(Effect.asVoid(sessions.end(me.verified.idHash, "signed_out"))),
    traffic,
    audit
  })
})

const listening = (server: net.Server): Effect.Effect<number, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.callback<number>((resume) => {
      const sockets = new Set<net.Socket>()
      open.set(server, sockets)
      server.on("connection", (socket: net.Socket) => {
        sockets.add(socket)
        socket.once("close", () => sockets.delete(socket))
      })
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        resume(Effect.succeed(typeof address === "object" && address !== null ? address.port : 0))
      })
    }),
    () =>
      Effect.callback<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of open.get(server) ?? []) socket.destroy()
      })
  )

const open = new WeakMap<net.Server, Set<net.Socket>>()

/** A local server of an edge, speaking HTTP as Node does. */
export const httpOrigin = (
  handler: (request: http.IncomingMessage, response: http.ServerResponse) => void,
  set: (server: http.Server) => void = () => undefined
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.suspend(() => {
    const server = http.createServer({ maxHeaderSize: 128 * 1024 }, handler)
    set(server)
    return listening(server)
  })

/** A local server of an edge that says whatever it likes. */
export const rawOrigin = (
  onSocket: (socket: net.Socket) => void
): Effect.Effect<number, never, Scope.Scope> =>
  Effect.suspend(() => {
    const server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      socket.on("error", () => undefined)
      onSocket(socket)
    })
    return listening(server)
  })

/** Answers each request that has no body with the next of the given bytes; the last one again and again. */
export const scriptedOrigin = (...answers: ReadonlyArray<string | ((socket: net.Socket) => void)>) => {
  let served = 0
  return rawOrigin((socket) => {
    let head = ""
    socket.on("data", (chunk) => {
      head += chunk.toString("latin1")
      while (head.includes("\r\n\r\n")) {
        head = head.slice(head.indexOf("\r\n\r\n") + 4)
        const answer = answers[Math.min(served++, answers.length - 1)]
        if (typeof answer === "string") socket.write(answer, "latin1")
        else answer?.(socket)
      }
    })
  })
}

export interface Answer {
  readonly status: number
  readonly message: string
  readonly rawHeaders: ReadonlyArray<string>
  readonly headers: http.IncomingHttpHeaders
  readonly body: Buffer
  /** Whether it was cut off. */
  readonly broken: boolean
}

export interface Ask {
  readonly method?: string
  readonly headers?: ReadonlyArray<string>
  readonly body?: Buffer | string
  /** Another one than ours. */
  readonly host?: string
}

/** What a program asks: over a connection of its own. `path` is sent as it is. */
export const ask = (
  gateway: { readonly port: number; readonly cookie: string },
  path: string,
  { method = "GET", headers = [], body, host = "relay.test" }: Ask = {}
): Effect.Effect<Answer> =>
  Effect.callback((resume) => {
    const request = http.request({
      port: gateway.port,
      host: "127.0.0.1",
      agent: false,
      method,
      path,
      setHost: false,
      maxHeaderSize: 128 * 1024,
      headers: [
        "Host",
        host,
        ...(gateway.cookie === "" ? [] : ["Cookie", gateway.cookie]),
        ...headers
      ] as unknown as http.OutgoingHttpHeaders
    })
    request.once("response", (response) => {
      const parts: Array<Buffer> = []
      response.on("data", (part: Buffer) => parts.push(part))
      response.on("error", () => undefined)
      response.once("close", () =>
        resume(
          Effect.succeed({
            status: response.statusCode ?? 0,
            message: response.statusMessage ?? "",
            rawHeaders: response.rawHeaders,
            headers: response.headers,
            body: Buffer.concat(parts),
            broken: !response.complete
          })
        )
      )
    })
    request.once("error", (error) => resume(Effect.die(error)))
    request.end(body)
    return Effect.sync(() => request.destroy())
  })

/** Sends bytes as they are, and answers all that comes until the connection closes or `until` is satisfied. */
export const sendRaw = (
  port: number,
  bytes: string,
  until: (received: string) => boolean = () => false
): Effect.Effect<string> =>
  Effect.callback((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true })
    let received = ""
    const done = () => {
      resume(Effect.succeed(received))
      socket.destroy()
    }
    socket.on("data", (chunk) => {
      received += chunk.toString("latin1")
      if (until(received)) done()
    })
    socket.once("error", done)
    socket.once("close", done)
    socket.write(bytes, "latin1")
    return Effect.sync(() => socket.destroy())
  })

/** Waits for what must become true within ten seconds. */
export const eventually = (what: string, test: () => boolean): Effect.Effect<void> =>
  Effect.gen(function* () {
    const deadline = Date.now() + 10_000
    while (!test()) {
      if (Date.now() > deadline) return yield* Effect.die(new Error(`never: ${what}`))
      yield* Effect.sleep("5 millis")
    }
  })

export const code = (answer: Answer): unknown => JSON.parse(answer.body.toString()).code
